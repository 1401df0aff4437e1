"""What mail systems write for people, one sample of each dialect."""

import pytest

from mtabounce.model import Action, Outcome
from mtabounce.parsers import read

RETURNED = """\
Received: from news (news [192.0.2.9])
\tby mx.example.net id 1; Mon, 23 Nov 2026 03:00:00 +0000
From: News <news@example.net>
To: <{to}>
Subject: Weekly news
Message-ID: <news.1@example.net>
X-Campaign: 42

Hello
"""

# parser, From, text, and for each recipient: address, reason, command, remote host
SAMPLES = [
    (
        "qmail",
        "MAILER-DAEMON@mx.example.net",
        """Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<gone@example.org>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 no such user
Giving up on 192.0.2.1.

<full@example.org>:
user is over quota

--- Below this line is a copy of the message.

""",
        [
            ("gone@example.org", "550 5.1.1 no such user", "RCPT TO", "192.0.2.1"),
            ("full@example.org", "user is over quota", "", ""),
        ],
    ),
    (
        "exim",
        "Mail Delivery System <Mailer-Daemon@mx.example.net>",
        """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  gone@example.org
    (generated from alias@example.org)
    host mx.example.org [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<gone@example.org>:
    550 5.1.1 no such user
  full@example.org
    retry timeout exceeded

------ This is a copy of the message, including all the headers. ------

""",
        [
            ("gone@example.org", "550 5.1.1 no such user", "RCPT TO", "mx.example.org"),
            ("full@example.org", "retry timeout exceeded", "", ""),
        ],
    ),
    (
        "postfix",
        "MAILER-DAEMON@mx.example.net (Mail Delivery System)",
        """This is the mail system at host mx.example.net.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

<gone@example.org> (expanded from <alias@example.org>): host
    mx.example.org[192.0.2.1] said: 550 5.1.1
    <gone@example.org>: no such user (in reply to RCPT TO
    command)

""",
        [
            (
                "gone@example.org",
                "550 5.1.1 <gone@example.org>: no such user",
                "RCPT TO",
                "mx.example.org",
            )
        ],
    ),
    (
        "sendmail",
        "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>",
        """   ----- Transcript of session follows -----
While talking to mx.example.org:
>>> RCPT To:<gone@example.org>
<<< 550 No such user here
550 <gone@example.org>... User unknown
550 example.invalid (smtp)... 550 Host unknown
554 <lost@example.invalid>... 550 Host unknown (Authoritative answer from name server)

   ----- Unsent message follows -----
""",
        [
            ("gone@example.org", "550 No such user here", "RCPT TO", "mx.example.org"),
            ("lost@example.invalid", "554 <lost@example.invalid>... 550 Host unknown", "", ""),
        ],
    ),
    (
        "dma",
        "MAILER-DAEMON <>",
        """This is the DragonFly Mail Agent v0.13 at mx.example.net.

There was an error delivering your mail to <gone@example.org>.

mx.example.org [192.0.2.1] did not like our RCPT TO:
550 5.1.1 no such user

Message headers follow.

""",
        [("gone@example.org", "550 5.1.1 no such user", "RCPT TO", "mx.example.org")],
    ),
    (
        "opensmtpd",
        "Mailer Daemon <MAILER-DAEMON@mx.example.net>",
        """    Hi!

    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.

    An error has occurred while attempting to deliver a message for
    the following list of recipients:

gone@example.org: 550 5.1.1 no such user

    Below is a copy of the original message:

""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "gmail",
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        """Delivery to the following recipient failed permanently:

     gone@example.org

Technical details of permanent failure:
Google tried to deliver your message, but it was rejected by the server for the recipient
domain example.org by mx.example.org. [192.0.2.1].

The error that the other server returned was:
550 5.1.1 no such user

----- Original message -----

""",
        [("gone@example.org", "550 5.1.1 no such user", "", "mx.example.org")],
    ),
    (
        "gmail",
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        """** Adresse nicht gefunden **

Ihre Nachricht wurde nicht an gone@example.org zugestellt, weil die Adresse nicht gefunden wurde.

Die Antwort vom Remote-Server lautete:

550 5.1.1 no such user
""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "groups",
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        """Hej news@example.net!

Gruppen (gone) finns kanske inte, https://groups.google.com/support/.

----- Original message -----

""",
        [("gone@example.org", "permission to post", "", "")],
    ),
    (
        "exchange",
        "postmaster@example.org",
        """Échec de la remise pour ces destinataires ou groupes :

gone@example.org<mailto:gone@example.org>
L'adresse n'a pas été trouvée.

Informations de diagnostic pour les administrateurs :

Serveur de génération : EX1.example.org

gone@example.org
Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found'

En-têtes de message d'origine :

""",
        [("gone@example.org", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found'", "", "")],
    ),
    (
        "exchange",
        "System Administrator <postmaster@example.org>",
        """Your message

  To:      list@example.net
  Subject: Weekly news
  Sent:    Mon, 23 Nov 2026 03:00:00 -0000

did not reach the following recipient(s):

gone@example.org on Mon, 23 Nov 2026 03:00:01 -0000
    The recipient name is not recognized
    MSEXCH:IMS:EXAMPLE:ORG:EX1 0 (000C05A6) Unknown Recipient

""",
        [("gone@example.org", "The recipient name is not recognized", "", "")],
    ),
    (
        "exchange",
        "Microsoft Outlook <postmaster@example.org>",
        """Your message to gone@example.org couldn't be delivered.

More Info for Email Admins
Status code: 550 5.1.10

Original Message Details
Sender Address:\tnews@example.net
Recipient Address:\tgone@example.org

Error Details
Reported error:\t550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found
DSN generated by:\tEX1.example.org
""",
        [("gone@example.org", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found", "", "")],
    ),
    (
        "exim",
        "Mail Delivery System <mailer-daemon@kundenserver.de>",
        """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to
one or more of its recipients. This is a permanent error.
The following address(es) failed:

gone@example.org:
Mail server for "example.org" unreachable for too long

--- The header of the original message is following. ---

""",
        [("gone@example.org", 'Mail server for "example.org" unreachable for too long', "", "")],
    ),
    (
        "imail",
        "Postmaster <postmaster@example.net>",
        "Delivery failed 20 attempts: gone@example.org\n\nOriginal message follows.\n\n",
        [("gone@example.org", "Delivery failed 20 attempts: gone@example.org", "", "")],
    ),
    (
        "notes",
        "Postmaster@example.org",
        """Your message

  Subject: Weekly news

was not delivered to:

  gone@example.org

because:

  User gone (gone@example.org) not listed in Domino Directory

""",
        [("gone@example.org", "not listed in Domino Directory", "", "")],
    ),
    (
        "groupwise",
        "Mailer-Daemon@gw.example.org",
        """The message that you sent was undeliverable to the following:
\tgone@example.org (user not found)
\tfull@example.org (mailbox is full)

""",
        [
            ("gone@example.org", "user not found", "", ""),
            ("full@example.org", "mailbox is full", "", ""),
        ],
    ),
    (
        "yahoo",
        "MAILER-DAEMON@yahoo.com",
        """Sorry, we were unable to deliver your message to the following address.

<gone@example.org>:
Remote host said: 550 5.1.1 no such user [RCPT_TO]

--- Below this line is a copy of the message.

""",
        [("gone@example.org", "550 5.1.1 no such user", "RCPT TO", "")],
    ),
    (
        "aol",
        "Mail Delivery Subsystem <MAILER-DAEMON@aol.com>",
        """Your mail to the following recipients could not be delivered because they are not
accepting mail from news@example.net:
\tscreenname

""",
        [("screenname@aol.com", "not accepting mail", "", "")],
    ),
    (
        "zoho",
        "mailer-daemon@mail.zoho.com",
        """This message was created automatically by mail delivery software.
A message that you sent could not be delivered to one or more of its recipients.

gone@example.org Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 no such user

""",
        [("gone@example.org", "550, ERROR_CODE :5.1.1 no such user", "", "")],
    ),
    (
        "imail",
        "Postmaster <postmaster@example.net>",
        "Unknown user: gone@example.org\n\n\nOriginal message follows.\n\n",
        [("gone@example.org", "Unknown user", "", "")],
    ),
    (
        "mailmarshal",
        "postmaster@example.net",
        """Your message:
   From:    news@example.net
   Subject: Weekly news

Could not be delivered because of

550 5.1.1 no such user

The following recipients were affected:
    gone@example.org

Additional Information
======================
Reporting-MTA:      <relay.example.net>
""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "courier",
        "mailer-daemon@mx.example.net",
        """This is a delivery status notification from mx.example.net,
running the Courier mail server, version 1.0.16.

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<gone@example.org>:
     mx.example.org [192.0.2.1]:
 >>> RCPT TO:<gone@example.org>
 <<< 550 5.1.1 no such user

""",
        [("gone@example.org", "550 5.1.1 no such user", "RCPT TO", "")],
    ),
    (
        "mfilter",
        "postmaster@example.net",
        """このメールは「m-FILTER」が自動的に生成して送信しています。

以下のメールアドレスへの送信に失敗しました。
gone@example.org


-------server message
550 5.1.1 no such user

-------SMTP command
RCPT TO

-------original message
""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "kddi",
        "no-reply@example.ne.jp",
        """Your mail sent on: Mon, 23 Nov 2026 03:00:00 +0900
     Could not be delivered to: <gone@example.ne.jp>
     As their mailbox is full.
""",
        [("gone@example.ne.jp", "As their mailbox is full.", "", "")],
    ),
    (
        "intermail",
        "Postmaster@ezweb.ne.jp",
        """次のあて先へのメッセージはエラーのため送信できませんでした。

Each of the following recipients was rejected by a remote
mail server.

    Recipient: <gone@ezweb.ne.jp>
    >>> RCPT TO:<gone@ezweb.ne.jp>
    <<< 550 <gone@ezweb.ne.jp>: User unknown

""",
        [("gone@ezweb.ne.jp", "550 <gone@ezweb.ne.jp>: User unknown", "RCPT TO", "")],
    ),
    (
        "amavis",
        '"Content-filter at example.org" <postmaster@example.org>',
        """A message from <news@example.net> to:
-> gone@example.org
-> full@example.org

was considered unsolicited bulk e-mail (UBE).

Delivery of the email was stopped!
""",
        [
            ("gone@example.org", "was considered unsolicited bulk e-mail (UBE).", "", ""),
            ("full@example.org", "was considered unsolicited bulk e-mail (UBE).", "", ""),
        ],
    ),
    (
        "einsundeins",
        "Mail Delivery System <mailer-daemon@kundenserver.de>",
        """This message was created automatically by mail delivery software.

The following address failed:

gone@example.org

For the following reason:

Mail size limit exceeded.

--- The header of the original message is following. ---

""",
        [("gone@example.org", "Mail size limit exceeded.", "", "")],
    ),
    (
        "exim",
        "MAILER-DAEMON@mail.gmx.com",
        """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of
its recipients. This is a permanent error. The following address
failed:

"gone@example.org":
SMTP error from remote server after RCPT command:
host: mx.example.org
5.1.1 no such user

--- The header of the original message is following. ---

""",
        [("gone@example.org", "5.1.1 no such user", "", "mx.example.org")],
    ),
    (
        "smail",
        "Postmaster@mail.t-online.de",
        """|------------------------- Failed addresses follow: ---------------------|
 <gone@example.org>
   552 5.2.2 Quota exceeded (mailbox for user is full)

|------------------------- Message header follows: ----------------------|
""",
        [("gone@example.org", "552 5.2.2 Quota exceeded", "", "")],
    ),
    (
        "james",
        "postmaster@vtext.com",
        """Error: Invalid user address

Error message below:
550 - Requested action not taken: no such user here

Message details:
  Subject: Weekly news
  MAIL FROM: news@example.net
  RCPT TO: gone@example.org
""",
        [("gone@example.org", "550 - Requested action not taken", "", "")],
    ),
    (
        "mdaemon",
        "MDaemon@example.net",
        """The attached message had PERMANENT fatal delivery errors!

Failed address: gone@example.org

--- Session Transcript ---
 Mon: --> RCPT To:<gone@example.org>
 Mon: <-- 550 5.1.1 no such user
--- End Transcript ---
""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "mailenable",
        "postmaster@example.net",
        """Message could not be delivered to some recipients.
The following recipient(s) could not be reached:

\tRecipient: [SMTP:gone@example.org]
\tReason: 550 5.1.1 no such user

Message headers follow:

""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "hmailserver",
        "mailer-daemon@example.net",
        """Your message did not reach some or all of the intended recipients.

   Sent: Mon, 23 Nov 2026 03:00:00 +0000
   Subject: Weekly news

The following recipient(s) could not be reached:

gone@example.org
   Error Type: SMTP
   Remote server (192.0.2.1) issued an error.
   hMailServer sent: RCPT TO:<gone@example.org>
   Remote server replied: 550 5.1.1 no such user

hMailServer
""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "smartermail",
        "System Administrator <postmaster@example.net>",
        """Could not deliver message to the following recipient(s):

Failed Recipient: gone@example.org
Reason: Remote host said: 550 5.1.1 no such user

   -- The header and top 20 lines of the message follows --
""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "ironport",
        "Mail Delivery System <MAILER-DAEMON@esa.example.net>",
        """The following message to <gone@example.org> was undeliverable.
The reason for the problem:
5.1.0 - Unknown address error 550-'5.1.1 no such user'
""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "coremail",
        "PostMaster@qq.com",
        """退信原因:
收件人邮件地址（gone@example.org）不存在，邮件无法送达。
host mx.example.org[192.0.2.1] said: 550 5.1.1 no such user
""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "trouble",
        "MAILER-DAEMON@example.net",
        """We had trouble delivering your message. Full details follow:

Subject: 'Weekly news'

1 error(s):

SMTP Server <mx.example.org> rejected recipient <gone@example.org>
(Error following RCPT command). It responded as follows: [550 5.1.1 no such user]
""",
        [("gone@example.org", "550 5.1.1 no such user", "", "")],
    ),
    (
        "biglobe",
        "postmaster@biglobe.ne.jp",
        """   ----- The following addresses had delivery problems -----
gone@example.org

   ----- Non-delivered information -----
The number of messages in recipient's mailbox exceeded the local limit.
""",
        [("gone@example.org", "mailbox exceeded the local limit", "", "")],
    ),
    (
        "returned",
        "Mail Robot <robot@example.net>",
        """Meldung: Ihre Mail konnte nicht zugestellt werden.

Die Adresse gone@example.org ist bei uns nicht bekannt. Fragen an postmaster@example.net.

""",
        [("gone@example.org", "konnte nicht zugestellt werden", "", "")],
    ),
    (
        "guess",
        "postmaster@example.net",
        "Der Empfänger <gone@example.org> hat Ihre Nachricht abgelehnt: unknown user.\n",
        [("gone@example.org", "unknown user", "", "")],
    ),
]
IDS = [f"{parser}-{number}" for number, (parser, *_) in enumerate(SAMPLES)]
WITH_RETURNED = {
    "qmail",
    "exim",
    "gmail",
    "groups",
    "yahoo",
    "returned",
    "dma",
    "opensmtpd",
    "imail",
}


def mail(sender: str, text: str, subject: str = "Undeliverable: Weekly news") -> bytes:
    head = f"From: {sender}\nTo: news@example.net\nSubject: {subject}\nReturn-Path: <>\n"
    return f"{head}Content-Type: text/plain; charset=utf-8\n\n{text}".encode()


def sample(parser: str, sender: str, text: str, reports: list[tuple[str, str, str, str]]) -> bytes:
    is_returned = parser in WITH_RETURNED and "Remote-Server" not in text
    returned = RETURNED.format(to=reports[0][0]) if is_returned else ""
    return mail(sender, text + returned)


@pytest.mark.parametrize(("parser", "sender", "text", "reports"), SAMPLES, ids=IDS)
def test_sample_of_a_dialect_is_read(parser, sender, text, reports):
    reading = read(sample(parser, sender, text, reports))

    assert (reading.outcome, reading.parser) == (Outcome.BOUNCE, parser)
    assert [report.final_recipient for report in reading.reports] == [
        report[0] for report in reports
    ]
    for report, (_, reason, command, host) in zip(reading.reports, reports, strict=True):
        assert reason in report.diagnostic_code
        assert (report.action, report.command) == (Action.FAILED, command or report.command)
        assert report.remote_mta == (host or report.remote_mta)


@pytest.mark.parametrize("parser", sorted(WITH_RETURNED))
def test_headers_of_a_mail_that_is_returned_in_the_text_are_read(parser):
    sender, text, reports = next(rest for name, *rest in SAMPLES if name == parser)

    report = read(sample(parser, sender, text, reports)).reports[0]

    assert report.original_message_id == "news.1@example.net"
    assert (report.original_subject, report.campaign) == ("Weekly news", "42")


@pytest.mark.parametrize(("parser", "sender", "text", "reports"), SAMPLES, ids=IDS)
def test_person_who_quotes_a_notice_reports_no_bounce(parser, sender, text, reports):
    quoted = "".join(f"> {line}\n" for line in text.splitlines())
    letter = (
        f"From: Ann <ann@example.org>\nSubject: Re: Weekly news\n\nI got this:\n{quoted}\nAnn\n"
    )

    assert read(letter.encode()).reports == ()


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        (
            "Mail Delivery System <Mailer-Daemon@mx.example.net>",
            """This message was created automatically by mail delivery software.
A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue on mx.example.net.

The address to which the message has not yet been delivered is:

  full@example.org
    Delay reason: retry time not reached

""",
        ),
        (
            "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
            """THIS IS A WARNING MESSAGE ONLY.

Delivery to the following recipient has been delayed:

     full@example.org

Message will be retried for 2 more day(s)
""",
        ),
        (
            "postmaster@example.net",
            "Your message to <full@example.org> could not be delivered yet. We will keep trying.\n",
        ),
    ],
    ids=["exim", "gmail", "unknown"],
)
def test_warning_of_a_delay_is_no_bounce(sender, text):
    reading = read(mail(sender, text, "Warning: message delayed"))

    assert reading.outcome is Outcome.DELAYED
    assert [report.final_recipient for report in reading.reports] == ["full@example.org"]


@pytest.mark.parametrize(("to", "people"), [("gone", ["gone@example.org"]), ("news", [])])
def test_notice_that_names_nobody_is_about_whom_its_attached_mail_went_to(to, people):
    text = "Gone on Mon, 23 Nov 2026\n    was not delivered: the recipient name is unknown\n"
    notice = mail("postmaster@example.net", "").replace(
        b"text/plain", b'multipart/mixed; boundary="b"'
    )
    parts = f"--b\n\n{text}\n--b\nContent-Type: message/rfc822\n\nTo: {to}@example.org\n\nHello\n"

    reading = read(notice.replace(b"news@example.net", b"news@example.org") + parts.encode())

    assert [report.final_recipient for report in reading.reports] == people


def test_recipient_without_a_domain_gets_the_one_of_the_command():
    text = """The following address(es) failed:

  gone
    SMTP error from remote mail server after RCPT TO:<gone@example.org>:
    550 no such user
"""

    assert read(mail("Mailer-Daemon@x", text)).reports[0].final_recipient == "gone@example.org"


def test_address_to_which_the_notice_says_it_was_sent_is_nobodys_failure():
    text = """Your message
  To:      list@example.net
  Subject: Weekly news
did not reach the following recipient(s):

John Doe on Mon, 23 Nov 2026 03:00:01 -0000
    The recipient was unavailable
"""

    assert read(mail("System Administrator <postmaster@example.org>", text)).reports == ()


def test_refusal_in_a_transcript_is_the_reason_whatever_followed_it():
    text = """   ----- Transcript of session follows -----
While talking to mx.example.org:
>>> DATA
<<< 550 You cannot send mail to yourself.
421 mx.example.org (smtp)... Deferred: Connection reset by peer
554 <gone@example.org>... Remote protocol error: Connection reset by peer

   ----- Unsent message follows -----
"""

    (report,) = read(mail("MAILER-DAEMON@example.net", text)).reports

    assert report.diagnostic_code == "550 You cannot send mail to yourself."


def test_filter_that_stopped_a_mail_has_delayed_nothing():
    text = """Your message to: gone@example.org
was blocked by our filter. The mail with the following subject has NOT BEEN DELIVERED:

Subject: Weekly news
"""

    reading = read(mail("filter@example.net", text, "**Message you sent blocked by our filter**"))

    assert [(one.final_recipient, one.action) for one in reading.reports] == [
        ("gone@example.org", Action.FAILED)
    ]


def test_reply_behind_a_dash_is_the_reason():
    text = """This is a delivery failure notification message indicating that an email you addressed
to email address :
-- gone@example.org

could not be delivered. The problem appears to be :
-- Recipient email server rejected the message

Additional information follows :
-- 550 5.1.1 no such user here

This condition occurred after 1 attempt(s) to deliver over a period of 0 hour(s).
"""

    (report,) = read(mail("postmaster@mx.example.net", text)).reports

    assert report.final_recipient == "gone@example.org"
    assert report.diagnostic_code.startswith("550 5.1.1 no such user here")


def test_kind_of_error_beside_the_address_is_not_the_reason():
    text = """The original message was received at Wed, 12 Jun 1996 09:30:22 -0700

   ----- The following addresses had delivery problems -----
<gone@example.org>  (unrecoverable error)

   ----- Transcript of session follows -----
... while talking to mx.example.org.:
>>> RCPT To:<gone@example.org>
<<< 550 <gone@example.org>... User unknown
550 <gone@example.org>... User unknown
"""

    (report,) = read(mail("MAILER-DAEMON@example.net", text)).reports

    assert report.final_recipient == "gone@example.org"
    assert report.diagnostic_code.startswith("550 <gone@example.org>... User unknown")


def test_line_of_stars_is_no_recipient():
    text = """The following address(es) failed:

  gone@example.org
    550 5.1.1 no such user
  **********************
"""

    reports = read(mail("Mailer-Daemon@mx.example.net", text)).reports

    assert [report.final_recipient for report in reports] == ["gone@example.org"]
