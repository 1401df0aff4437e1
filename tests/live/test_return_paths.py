"""A mail goes out with a signed return path; its bounce comes back tied to whom it was sent to."""

import smtplib
import sys

import pytest

from mtabounce.address import normalize
from tests.live import shipped
from tests.live.failures import ANSWERS
from tests.live.fake_mx import FakeMX
from tests.live.load import bounce_of
from tests.live.processes import run, wait_until
from tests.live.rows import bounces, wait_for_inputs
from tests.live.service import Service

KEYS = """
[return_path]
domain = "bounces.example.org"
keys = [{{ id = "a", secret_file = "{secret}" }}]
"""


@pytest.fixture
def service(folder):
    secret = folder / "return-path.key"
    secret.write_text("correct horse battery staple\n")
    secret.chmod(0o600)
    with Service(folder / "mtabounce", more=KEYS.format(secret=secret)) as service:
        yield service


@pytest.mark.parametrize("server", [shipped.postfix_over_smtp, shipped.exim_over_smtp])
def test_bounce_is_tied_to_recipient_and_campaign(folder, service, server):
    (signed,) = service.query(
        "SELECT mtabounce.return_path('Ann@unknown.example', 'spring') AS path"
    )

    with FakeMX(ANSWERS) as mx, server(folder, mx, service) as mta:
        with smtplib.SMTP(*mta.address) as client:
            client.sendmail(signed.path, ["ann@unknown.example"], "Subject: News\r\n\r\nHello\r\n")
        wait_for_inputs(service, 1, mta.log)

    (row,) = bounces(service)
    (ref,) = service.query("SELECT kind FROM mtabounce.bounce_refs WHERE kind = 'return_path'")
    assert (row.recipient, row.reason, row.campaign) == (
        "ann@unknown.example",
        "user_unknown",
        "spring",
    )
    assert (row.trust, ref.kind) == ("proven", "return_path")


def test_xverp_of_postfix_gives_each_recipient_its_own_bounce(folder, service):
    with (
        FakeMX(ANSWERS) as mx,
        shipped.postfix_over_smtp(folder, mx, service) as mta,
    ):
        with smtplib.SMTP(*mta.address) as client:
            client.ehlo()
            code, said = client.docmd("MAIL FROM:<list@bounces.example.org> XVERP=+=")
            assert code == 250, said
            for name in ("ann", "bob"):
                client.rcpt(f"{name}@unknown.example")
            client.data("Subject: News\r\n\r\nHello\r\n")
        wait_for_inputs(service, 2, mta.log)

    paths = service.query("SELECT forward_paths[1] AS path FROM mtabounce.inputs ORDER BY 1")
    assert [row.path for row in paths] == [
        "list+ann=unknown.example@bounces.example.org",
        "list+bob=unknown.example@bounces.example.org",
    ]
    assert [row.recipient for row in bounces(service)] == [
        "ann@unknown.example",
        "bob@unknown.example",
    ]


QUOTED = r"""a"b\c'd"""
MAIL = "Message-ID: <1@example.org>\r\nX-Campaign-Id: spring\r\nSubject: News\r\n\r\nHello\r\n"


def signed_for(service, campaign):
    rows = service.query("SELECT recipient, campaign FROM mtabounce.return_paths")
    return {row.recipient for row in rows if row.campaign == campaign}


def test_exim_signs_for_each_recipient(folder, service):
    shipped.add_reader(service)
    people = ["Ann@unknown.example", "bob@unknown.example", "o'hara@later.example"]

    with FakeMX(ANSWERS) as mx, shipped.exim_that_signs(folder, mx, service) as exim:
        with smtplib.SMTP(*exim.address) as client:
            client.sendmail("news@example.org", people, MAIL)
        wait_for_inputs(service, 2, exim.log)
        wait_until(lambda: mx.mails, "the third mail is taken", details=exim.log)
        (later,) = mx.mails
        with smtplib.SMTP(*exim.address) as client:  # as the server of that domain does
            bounce = bounce_of("o'hara@later.example", 1)
            client.sendmail("", [later.reverse_path], bounce)
        wait_for_inputs(service, 3, exim.log)

        rows = bounces(service)
        assert [(row.recipient, row.campaign, row.trust) for row in rows] == [
            (person.lower(), "spring", "proven") for person in people
        ]
        refs = service.query("SELECT FROM mtabounce.bounce_refs WHERE kind = 'return_path'")
        assert len(refs) == 3

        mx.mails.clear()
        strange = ['"|touch x"', '":blackhole:"', '"a,b"', '"/tmp/x"', '":include:/etc/passwd"']
        with smtplib.SMTP(*exim.address) as client:
            whom = [f"{one}@later.example" for one in strange]
            client.sendmail("n@example.org", whom, MAIL.replace("spring", QUOTED))
        wait_until(lambda: len(mx.mails) >= len(strange), "all get theirs", details=exim.log)
        assert len({mail.reverse_path for mail in mx.mails}) == len(strange)
        assert {normalize(one) for one in whom if " " not in one} == signed_for(service, QUOTED)

        mx.mails.clear()
        service.stop()
        with smtplib.SMTP(*exim.address) as client:
            client.sendmail("news@example.org", ["cid@later.example"], MAIL)
        wait_until(lambda: mx.mails, "mail goes out while PostgreSQL is away", details=exim.log)
        assert mx.mails[0].reverse_path == "news@example.org"


def test_program_that_sends_by_smtp_signs_for_each_recipient(folder, service):
    shipped.add_reader(service)
    people = ["ann@unknown.example", "bob@quota.example", "Cid@unknown.example"]
    (folder / "mail.eml").write_text(MAIL.replace("\r\n", "\n"))
    (folder / "recipients.txt").write_text("\n".join([*people, "", "dan@unknown.example"]))
    service.run("suppressions", "add", "dan@unknown.example", "--why", "on holiday")
    database = f"dbname=mtabounce user=mtabounce_mta host={shipped.socket_folder(service)}"

    with FakeMX(ANSWERS) as mx, shipped.postfix_over_smtp(folder, mx, service) as mta:
        host, port = mta.address
        command = [sys.executable, shipped.CONTRIB / "python" / "send_signed.py"]
        options = ["--campaign", "spring", "--database", database, "--server", f"{host}:{port}"]
        run(*command, *options, folder / "mail.eml", folder / "recipients.txt")
        wait_for_inputs(service, len(people), mta.log)

    assert [(row.recipient, row.campaign, row.trust) for row in bounces(service)] == [
        (person.lower(), "spring", "proven") for person in people
    ]
    refs = service.query("SELECT FROM mtabounce.bounce_refs WHERE kind = 'return_path'")
    assert len(refs) == len(people)
