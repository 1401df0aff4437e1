"""A mail goes out with a signed return path; its bounce comes back tied to whom it was sent to."""

import smtplib

import pytest

from tests.live import shipped
from tests.live.failures import ANSWERS
from tests.live.fake_mx import FakeMX
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
