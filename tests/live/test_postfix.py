"""What Postfix hands over besides plain bounces of its own, and when nobody takes them."""

import smtplib

import pytest

from tests.live import shipped
from tests.live.failures import ANSWERS, RETURN_DOMAIN, Sent, send
from tests.live.fake_mx import FakeMX
from tests.live.load import bounce_of
from tests.live.processes import wait_until
from tests.live.rows import bounces, wait_for_inputs
from tests.live.service import Service


@pytest.fixture
def service(folder):
    with Service(folder / "mtabounce") as service:
        yield service


@pytest.fixture
def postfix(folder, service):
    # It gives up on nothing within a test: whoever refuses must say so for good.
    with (
        FakeMX(ANSWERS) as mx,
        shipped.postfix_over_smtp(folder, mx, service, lifetime="1h") as postfix,
    ):
        yield postfix


def test_mail_to_three_recipients_that_all_fail_is_three_rows(service, postfix):
    recipients = [f"{name}@unknown.example" for name in ("ann", "bob", "carol")]

    with smtplib.SMTP(*postfix.address) as client:
        client.sendmail(f"b@{RETURN_DOMAIN}", recipients, "Message-ID: <one@example.org>\r\n\r\n")
    wait_for_inputs(service, 1, postfix.log)

    rows = bounces(service)
    assert [row.recipient for row in rows] == recipients
    assert {row.original_message_id for row in rows} == {"one@example.org"}


def test_recipient_in_utf8_is_one_row(service, postfix):
    with smtplib.SMTP(*postfix.address) as client:
        client.sendmail(
            f"b@{RETURN_DOMAIN}",
            ["büro@unknown.example"],
            "Message-ID: <two@example.org>\r\n\r\n",
            mail_options=["SMTPUTF8"],
        )
    wait_for_inputs(service, 1, postfix.log)

    assert [row.recipient for row in bounces(service)] == ["büro@unknown.example"]


def test_bounce_that_came_from_another_host_is_only_a_claim(service, postfix):
    with smtplib.SMTP(*postfix.address) as client:
        client.sendmail("", [f"b@{RETURN_DOMAIN}"], bounce_of("victim@example.net", number=1))
    wait_for_inputs(service, 1, postfix.log)

    assert [(row.recipient, row.trust) for row in bounces(service)] == [
        ("victim@example.net", "claimed")
    ]


def test_bounces_wait_in_the_queue_while_mtabounce_is_away(service, postfix):
    sent = [Sent(number, f"user{number}@unknown.example") for number in range(20)]

    service.stop()
    send(postfix.address, sent)
    wait_until(
        lambda: postfix.log().count("status=deferred") >= len(sent),
        "all bounces are deferred",
        details=postfix.log,
    )
    service.start()
    wait_for_inputs(service, len(sent), postfix.log)

    assert [row.recipient for row in bounces(service)] == sorted(mail.to for mail in sent)
    wait_until(lambda: postfix.queue() == [], "the queue is empty")


def test_bounces_wait_in_the_queue_while_the_database_is_away(service, postfix):
    sent = [Sent(number, f"user{number}@unknown.example") for number in range(20)]

    with service.without_postgres():
        send(postfix.address, sent)
        wait_until(
            lambda: " said: 451 4.3.0" in postfix.log(),
            "mtabounce asks Postfix to try again later",
            details=postfix.log,
        )
    wait_for_inputs(service, len(sent), postfix.log)

    assert [row.recipient for row in bounces(service)] == sorted(mail.to for mail in sent)
    wait_until(lambda: postfix.queue() == [], "the queue is empty")
