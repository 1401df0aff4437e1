"""``webhook parse``: what a request says, offline."""

import json

import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.errors import UsageError

EVENTS = [
    {"event": "bounce", "type": "bounce", "email": "ann@example.org", "timestamp": 1795000000,
     "reason": "550 5.1.1 no such user", "sg_message_id": "m", "XListmonkCampaign": "c"},
    {"event": "open", "email": "ann@example.org"},
    7,
]  # fmt: skip


@pytest.fixture
def parse(tmp_path):
    def parse(body, *words, provider="sendgrid"):
        path = tmp_path / "body"
        path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        config = tmp_path / "mtabounce.toml"
        config.touch()
        words = ["--config", str(config), "webhook", "parse", provider, *words, str(path)]
        return CliRunner().invoke(mtabounce, words)

    return parse


def test_reports_and_what_is_not_used_are_printed(parse):
    result = parse(EVENTS, "--json")

    assert result.exit_code == 0
    said = json.loads(result.output)
    assert said["ignored"] == [
        {"event": "open", "why": "not about delivery"}, {"event": "int", "why": "bad element"},
    ]  # fmt: skip
    (report,) = said["reports"]
    assert report == report | {
        "outcome": "bounce", "final_recipient": "ann@example.org", "type": "hard",
        "reason": "user_unknown", "fault": "recipient", "status": "5.1.1", "reply_code": 550,
        "diagnostic_code": "550 5.1.1 no such user", "message_id": "m", "campaign": "c",
        "native_code": "bounce/bounce//550 5.1.1 no such user",
    }  # fmt: skip


def test_without_json_events_are_told_in_words(parse):
    result = parse(EVENTS)

    assert result.output.splitlines() == [
        "ann@example.org: hard, user_unknown  (bounce/bounce//550 5.1.1 no such user)",
        "not used: not about delivery: open",
        "not used: bad element: int",
    ]


@pytest.mark.parametrize("body", [b"", b"garbage", b'[{"event": ', b"[" * 100_000, b"\xff\xfe"])
def test_body_that_is_none_is_an_error(parse, body):
    result = parse(body, "--json")

    assert result.exit_code == 65
    (ignored,) = json.loads(result.output)["ignored"]
    assert ignored["why"] == "unreadable"


def test_headers_say_how_a_body_is_written(parse, tmp_path):
    headers = tmp_path / "headers.json"
    headers.write_text('{"Content-Type": "multipart/form-data; boundary=b"}')
    form = (
        b'--b\r\nContent-Disposition: form-data; name="event"\r\n\r\nbounced\r\n'
        b'--b\r\nContent-Disposition: form-data; name="recipient"\r\n\r\nann@example.org\r\n--b--'
    )

    result = parse(form, "--headers", str(headers), provider="mailgun")

    assert result.output.startswith("ann@example.org: hard, user_unknown")
    headers.write_text("no JSON")
    assert isinstance(parse(form, "--headers", str(headers)).exception, UsageError)


def test_providers_are_those_that_are_listed(parse):
    result = parse(EVENTS, provider="nobody")

    assert isinstance(result.exception, UsageError)
    assert "no section [webhooks.nobody], and there is no provider 'nobody'" in str(
        result.exception
    )
    listed = CliRunner().invoke(mtabounce, ["webhook", "list"]).output.splitlines()
    assert {"ses", "generic"} < {line.split()[0] for line in listed}
    assert len(listed) == 26 + 1  # those of others, and generic
