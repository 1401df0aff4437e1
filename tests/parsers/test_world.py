"""Notices as they come from other languages and makes, with neither a status part nor a return."""

import pytest

from mtabounce.classify import load
from mtabounce.pipeline.judge import Judge

JUDGE = Judge(load())

NOTICES = {
    "Gmail, in a sentence that ends with the address": (
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        "Delivery Status Notification (Delay)",
        (
            "** Delivery incomplete **\n\n"
            "There was a temporary problem delivering your message to ann@example.org. Gmail will\n"
            "retry for 46 more hours.\n\nThe response was:\n\n[mx.example.org 192.0.2.7: timed "
            "out]\n"
        ),
        "connection_failed",
    ),
    "Microsoft 365, as it draws it for people": (
        "Microsoft Outlook <MicrosoftExchange0123456789abcdef0123456789abcdef@example.com>",
        "Undeliverable: News",
        (
            "Your message to ann@example.org couldn't be delivered.\n"
            "ann wasn't found at example.org.\nUnknown To address\n"
        ),
        "user_unknown",
    ),
    "Exchange in Spanish": (
        "Administrador del sistema <postmaster@mx.example.com>",
        "No se puede entregar: News",
        (
            "El mensaje no llegó a algunos o a todos los destinatarios.\n\n"
            "No se puede localizar a los destinatarios siguientes:\n\n"
            "      ann@example.org el 02/11/2026 09:01\n"
            "            La cuenta de correo no existe en la organización.\n"
            "            <mx.example.com #5.1.1>\n"
        ),
        "user_unknown",
    ),
    "Domino in German": (
        "postmaster@mx.example.com",
        "ZUSTELLUNGSFEHLER",
        (
            "Ihre Nachricht\n\n  Betreff: News\n\nkonnte nicht zugestellt werden an:\n\n"
            "  ann@example.org\n\nGrund:\n\n  Benutzer ann nicht im Domino-Verzeichnis aufgeführt\n"
        ),
        "user_unknown",
    ),
    "InterScan, whose transcript says more than its sentence": (
        "postmaster@mx.example.com",
        "Mail could not be delivered",
        (
            "Unable to deliver message to <ann@example.org> (and others of that domain).\n\n"
            "Sent <<< RCPT TO:<ann@example.org>\n"
            "Received >>> 550 5.1.1 <ann@example.org>... User unknown\n"
        ),
        "user_unknown",
    ),
    "a server in Czech": (
        "mailer-daemon@mx.example.com",
        "Nedoručitelná zpráva",
        (
            "Vaše zpráva nemohla být doručena příjemci:\n\n"
            "  ann@example.org\n    550 5.1.1 Uživatel neexistuje\n"
        ),
        "user_unknown",
    ),
    "a server in Dutch": (
        "postmaster@mx.example.com",
        "Niet bezorgbaar: News",
        (
            "Uw bericht kon niet worden bezorgd aan:\n\nann@example.org\n\n"
            "Reden: De mailbox van de ontvanger is vol.\n"
        ),
        "mailbox_full",
    ),
    "a content filter that names the sender first": (
        '"Content-filter at mx.example.com" <postmaster@mx.example.com>',
        "Considered UNSOLICITED BULK EMAIL, apparently from you",
        (
            "A message from <news@example.net> to:\n-> ann@example.org\n\n"
            "was considered unsolicited bulk e-mail (UBE).\n\nDelivery of the email was stopped!\n"
        ),
        "spam_content",
    ),
    "Mercury, that was refused by a host, not for its own": (
        "Electronic Postmaster <postmaster@mx.example.com>",
        "Postmaster Notify: Delivery Failure.",
        (
            "The attached message has failed delivery and has been returned to you.\n\n"
            "<ann@example.org>\n   Remote server replied: 550 No such user here\n"
            "   (The address was rejected by the remote host.)\n"
        ),
        "user_unknown",
    ),
}

STATUS = """\
From: MAILER-DAEMON@mx.example.com
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: {said}

--b--
"""


@pytest.mark.parametrize(
    "recipient",
    [
        "ann@example.org.",
        "mailto:ann@example.org",
        "SMTP:ann@example.org",
        "ann@example.org\n Action: failed",
    ],
)
def test_what_is_no_part_of_the_address_is_left_out_of(recipient):
    judged = JUDGE.judge(STATUS.format(recipient=recipient, said="smtp; 550 no").encode())

    assert judged.reading.reports[0].final_recipient == "ann@example.org"


def test_address_that_the_provider_skipped_did_not_bounce():
    said = "did not send to this address because it is on the suppression list for your account"

    judged = JUDGE.judge(STATUS.format(recipient="ann@example.org", said=said).encode())

    assert judged.verdicts[0].reason == "suppressed"
    assert judged.verdicts[0].type is None


@pytest.mark.parametrize("notice", NOTICES.values(), ids=list(NOTICES))
def test_recipient_and_reason_are_found_in(notice):
    sender, subject, text, reason = notice
    head = f"Return-Path: <>\nFrom: {sender}\nTo: news@example.net\nSubject: {subject}\n"
    content = f"{head}Content-Type: text/plain; charset=utf-8\n\n{text}".encode()

    judged = JUDGE.judge(content)

    assert [report.final_recipient for report in judged.reading.reports] == ["ann@example.org"]
    assert [verdict.reason for verdict in judged.verdicts] == [reason]
