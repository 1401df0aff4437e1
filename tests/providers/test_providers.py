"""What each ESP posts, as its documents show it; and what nobody should post."""

import json
import random
import re
import tomllib
from pathlib import Path
from time import process_time

import pytest

from mtabounce.classify import load
from mtabounce.correlate import counted
from mtabounce.errors import ConfigError
from mtabounce.model import HeaderNames, Outcome
from mtabounce.providers import discover, provider, read
from mtabounce.providers.request import pack, unpack

CLASSIFIER = load()
NAMES = HeaderNames(campaign=("X-Listmonk-Campaign",), subscriber=("X-Listmonk-Subscriber",))
FOLDER = Path(__file__).parents[2] / "fixtures" / "webhooks"
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}-{number}")
    for path in sorted(FOLDER.glob("*.toml"))
    for number, case in enumerate(tomllib.loads(path.read_text())["case"])
]


JSON_CASES = [case for case in CASES if case.values[1]["body"].startswith(("{", "["))]


def said_by(name, body, headers=None):
    content = body if isinstance(body, bytes) else body.encode()
    return read(provider(name), content, headers or {}, NAMES)


def verdicts(said):
    return [
        " ".join(
            filter(None, [one.final_recipient, verdict.type or str(one.outcome), verdict.reason])
        )
        for one in said.reports
        for verdict in [counted(one, CLASSIFIER.classify(one))]
    ]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_what_a_provider_posts_is_understood(name, case):
    said = said_by(name, case["body"], case.get("headers"))

    assert verdicts(said) == case.get("says", [])
    assert [f"{one.why}: {one.event}" for one in said.ignored] == case.get("ignored", [])
    for key, value in case.get("facts", {}).items():
        assert str(getattr(said.reports[0], key)) == value


def test_every_provider_has_a_case():
    assert set(discover()) - {"api"} == {path.stem for path in FOLDER.glob("*.toml")}


@pytest.mark.parametrize("name", discover())
def test_table_says_all_that_is_needed_of_a_provider(name):
    one = provider(name)

    assert one.paths
    assert one.key
    assert one.title
    assert one.table.docs
    known = set(CLASSIFIER.reasons) | {"hard", "soft", "block", "delayed", "delivered", "failed"}
    assert {word for _, word in one.table.events} <= known | {"ignore"}


@pytest.mark.parametrize("name", discover())
def test_no_pattern_is_hidden_by_one_before_it(name):
    one = provider(name)

    for pattern, word in one.table.events:
        like = re.sub(r"\[(.).*?\]", r"\1", pattern).replace("*", "~").replace("?", "~")
        assert one.meaning(like) == word, pattern


@pytest.mark.parametrize("name", discover())
@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"[[[[]]]]", b'"x"', b"1e999", b"NaN",
        b'{"event": NaN}', b"\xff",
        b"[" * 100_000, b'{"a":' * 50_000, b"1" * 10_000, b'{"event": ["bounce"]}', b"a=b&" * 5_000,
        b'{"Type": "Notification", "Message": 7}', b'{"Type": "Notification", "Message": "[{"}',
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_hostile_body_makes_no_report_and_no_error(name, body):
    said = said_by(name, body)

    assert said.reports == ()


@pytest.mark.parametrize(("name", "case"), CASES)
def test_mutated_body_never_raises(name, case):
    chance = random.Random(f"{name}{case['body'][:50]}")  # noqa: S311 (repeatable)
    for _ in range(40):
        body = bytearray(case["body"].encode())
        for _ in range(chance.randint(1, 5)):
            body[chance.randrange(len(body))] = chance.choice(b'"{}[]:,\\0aZ\xff')

        for report in said_by(name, bytes(body), case.get("headers")).reports:
            CLASSIFIER.classify(report)


@pytest.mark.parametrize("value", [None, 7, [], {}, [{}], "x" * 50, True, [None], {"a": 1}])
@pytest.mark.parametrize(("name", "case"), JSON_CASES)
def test_wrong_kind_of_value_anywhere_never_raises(name, case, value):
    document, _ = json.JSONDecoder().raw_decode(case["body"])
    event = document[0] if isinstance(document, list) else document
    for key in event:
        broken = {**event, key: value}
        for report in said_by(name, json.dumps(broken), case.get("headers")).reports:
            CLASSIFIER.classify(report)


def test_bad_element_leaves_the_rest_of_a_batch():
    good = {"event": "bounce", "type": "bounce", "email": "a@example.com", "timestamp": 1}
    body = [{**good, "email": f"u{n}@example.com"} for n in range(1000)]
    body[500] = "poison"

    said = said_by("sendgrid", json.dumps(body))

    assert len(said.reports) == 999
    assert [one.why for one in said.ignored] == ["bad element"]
    assert said.reading("sendgrid", b"").note == "bad element: str ×1"


def test_repeated_event_with_a_new_id_is_the_same_event():
    event = {"event": "bounce", "type": "bounce", "email": "a@example.com", "timestamp": 1461095250,
             "sg_message_id": "m.filter", "reason": "550 5.1.1 no such user"}  # fmt: skip
    again = {**event, "sg_event_id": "other"}
    later = {**event, "timestamp": 1461095350}

    said = said_by("sendgrid", json.dumps([{**event, "sg_event_id": "one"}, again, later]))

    marks = [one.mark for one in said.reports]
    assert marks[0] == marks[1] != marks[2]


def test_reply_goes_before_the_words_hard_and_soft_of_the_provider():
    body = {"event": "bounce", "type": "bounce", "email": "a@example.com"}
    replies = ["550 5.1.1 no such user", "452 4.2.2 mailbox full", "550 5.7.1 listed at spamhaus"]

    said = said_by("sendgrid", json.dumps([{**body, "reason": reply} for reply in replies]))

    assert [CLASSIFIER.classify(one).type for one in said.reports] == ["hard", "soft", "soft"]


def test_word_block_of_the_provider_suppresses_nobody_whatever_the_reply():
    body = {"event": "bounce", "type": "blocked", "email": "a@example.com"}

    (report,) = said_by("sendgrid", json.dumps(body | {"reason": "550 5.1.1 unknown"})).reports

    verdict = CLASSIFIER.classify(report)
    assert (verdict.type, verdict.fault) == ("soft", "sender")


def test_only_listed_recipients_of_an_ses_bounce_count():
    message = {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "bouncedRecipients": [{"emailAddress": "b@x.org"}],
        },
        "mail": {"destination": ["a@x.org", "b@x.org"], "messageId": "m"},
    }

    said = said_by("ses", json.dumps({"Type": "Notification", "Message": json.dumps(message)}))

    assert [one.final_recipient for one in said.reports] == ["b@x.org"]


PLACES = [  # where senders' own fields come back
    ("ses", {"notificationType": "Bounce", "bounce": {"bounceType": "Permanent",
        "bouncedRecipients": [{"emailAddress": "a@x.org"}]}, "mail": {"headers": [
        {"name": "X-Job", "value": "j"}, {"name": "x-member", "value": "m"}]}}),
    ("sendgrid", [{"event": "bounce", "email": "a@x.org", "XJob": "j", "x-member": "m"}]),
    ("mailgun", {"event-data": {"event": "failed", "severity": "permanent", "recipient": "a@x.org",
        "user-variables": {"x-job": "j", "X-Member": "m"}}}),
    ("postmark", {"RecordType": "Bounce", "Type": "HardBounce", "Email": "a@x.org",
        "Metadata": {"x-job": "j", "x-member": "m"}}),
    ("mailjet", [{"event": "bounce", "hard_bounce": True, "email": "a@x.org",
        "Payload": '{"X-Job": "j", "X-Member": "m"}'}]),
    ("brevo", {"event": "hard_bounce", "email": "a@x.org",
        "X-Mailin-custom": '{"X-Job": "j", "X-Member": "m"}'}),
    ("sparkpost", [{"msys": {"message_event": {"type": "bounce", "bounce_class": "10",
        "rcpt_to": "a@x.org", "rcpt_meta": {"X-Job": "j", "X-Member": "m"}}}}]),
    ("scaleway", {"type": "email_dropped", "email_to": "a@x.org", "email_headers":
        [{"key": "X-Job", "value": "j"}, {"key": "X-Member", "value": "m"}]}),
    ("kumomta", {"type": "Bounce", "recipient": "a@x.org",
        "headers": {"X-Job": "j"}, "meta": {"X-Member": "m"}}),
    ("pmta", [{"type": "b", "rcpt": "a@x.org", "header_X-Job": "j", "header_X-Member": "m"}]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body"), PLACES, ids=[name for name, _ in PLACES])
def test_ids_that_the_sender_attached_are_found_by_any_name_that_is_set(name, body):
    names = HeaderNames(campaign=("X-Nobody", "X-Job"), subscriber=("X-Member",))

    (report,) = read(provider(name), json.dumps(body).encode(), {}, names).reports

    assert (report.campaign, report.subscriber) == ("j", "m")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("ses", {"eventType": "Bounce", "bounce": {"bouncedRecipients": []}}),
        ("ses", {"eventType": "Bounce", "bounce": {"bounceType": "Permanent"}}),
        ("ses", {"eventType": "Complaint", "complaint": {"complainedRecipients": []}}),
        ("ses", {"eventType": "DeliveryDelay", "deliveryDelay": {"delayedRecipients": None}}),
        ("kumomta", {"type": "Bounce", "recipient": []}),
        ("resend", {"type": "email.bounced", "data": {"to": []}}),
    ],
)  # fmt: skip
def test_who_is_not_listed_as_failed_is_well(name, body):
    body["mail"] = {"destination": ["a@example.com", "b@example.com"]}

    said = said_by(name, json.dumps(body))

    assert said.reports == ()
    assert [one.why for one in said.ignored] == ["no recipient"]


DELIVERIES = [
    ("brevo", {"event": "delivered", "email": "a@example.com", "message-id": "<1@x>"}),
    ("mailgun", {"event-data": {"event": "delivered", "recipient": "a@example.com"}}),
    ("postmark", {"RecordType": "Delivery", "Recipient": "a@example.com",
        "DeliveredAt": "2026-11-20T10:00:00Z"}),
    ("sendgrid", [{"event": "delivered", "email": "a@example.com", "sg_message_id": "1.x"}]),
    ("sparkpost", [{"msys": {"message_event": {"type": "delivery", "rcpt_to": "a@example.com"}}}]),
    ("kumomta", {"type": "Delivery", "recipient": "a@example.com", "response": {"code": 250}}),
    ("mailtrap", {"events": [{"event": "delivery", "email": "a@example.com"}]}),
    ("smtp2go", {"event": "delivered", "rcpt": "a@example.com"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body"), DELIVERIES, ids=[name for name, _ in DELIVERIES])
def test_delivered_event_is_a_report(name, body):
    (report,) = said_by(name, json.dumps(body)).reports

    assert (report.outcome, report.final_recipient) == (Outcome.DELIVERED, "a@example.com")
    assert report.occurred_at is not None or name != "postmark"


def test_events_beyond_the_most_are_told_of():
    event = {"type": "hard", "email": "a@example.com"}

    said = said_by("generic", json.dumps([event] * 20_050))

    assert len(said.reports) == 20_000
    note = said.reading("generic", b"").note
    assert note == "too many: 50 events after the first 20000 ×1"


def test_event_with_many_recipients_costs_no_more_than_each_of_them():
    def seconds(count):
        recipients = [f"u{n}@example.com" for n in range(count)]
        body = json.dumps({"type": "Bounce", "recipient": recipients})
        began = process_time()
        assert len(said_by("kumomta", body).reports) == count
        return process_time() - began

    few = min(seconds(500) for _ in range(3))
    assert seconds(4_000) < 24 * few  # in proportion it is 8, with the square 64


def test_own_table_renames_fields_and_stands_in_for_ours():
    own = {"key": ["what"], "events": [["gone", "hard"]], "recipient": "who"}

    table = provider("house", own)
    body = b'{"what": "gone", "who": "A B <a@example.com>"}'

    assert [one.final_recipient for one in read(table, body, {}).reports] == ["a@example.com"]
    assert provider("mailgun", {"recipient": "to"}).table.items == provider("mailgun").table.items


WRONG = [{"recipent": "x"}, {"recipient": "a["}, {"key": ["%"]}, {"reply_in": "said: .*"},
         {"reply_in": "(a)(b)"}, {"reply_in": "("}]  # fmt: skip


@pytest.mark.parametrize("own", WRONG)
def test_wrong_table_is_refused(own):
    with pytest.raises(ConfigError, match="provider 'house'"):
        provider("house", own)


def test_unknown_provider_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError, match="there is no provider 'sess'; there are ahasend, api"):
        provider("sess")


def test_request_is_kept_without_its_secrets():
    headers = {"authorization": "Basic c2VjcmV0", "content-type": "a/b", "svix-id": "m\r\nX: y"}

    kept, body = unpack(pack(headers, b"\r\n\r\nbody"))

    assert kept == {"content-type": "a/b", "svix-id": "m  X: y"}
    assert body == b"\r\n\r\nbody"


def test_input_says_what_kind_of_news_it_is():
    opened = said_by("sendgrid", '[{"event": "open", "email": "a@example.com"}]')
    unknown = said_by("sendgrid", '[{"event": "foo", "email": "a@example.com"}]')

    assert opened.reading("sendgrid", b"").outcome is Outcome.IGNORED
    assert unknown.reading("sendgrid", b"").outcome is Outcome.UNRECOGNIZED
