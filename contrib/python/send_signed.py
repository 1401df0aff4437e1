#!/usr/bin/env python3
"""
Sends one mail to many, each with a return path that proves what comes back to it.

    pip install 'psycopg[binary]'
    python3 send_signed.py --campaign spring-2026 --database postgresql:///mtabounce \
        mail.eml recipients.txt

The addresses in recipients.txt stand on lines of their own. They are asked for in one statement
for each hundred, with whom mtabounce suppresses left out, and each gets a MAIL FROM of its own:
a bounce to it is tied to recipient and campaign, whatever its text says.
"""

import argparse
import smtplib
import sys
from collections.abc import Iterator
from email import message_from_binary_file
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import psycopg

BATCH = 100  # addresses that one statement asks for
ASK = """
    SELECT email, mtabounce.return_path(email, %(campaign)s)
      FROM unnest(%(emails)s::text[]) AS email
     WHERE NOT mtabounce.is_suppressed(email)
"""


def main() -> None:
    """Send, and exit 1 where a recipient was refused at once."""
    args = read_arguments()
    with args.mail.open("rb") as file:
        mail = message_from_binary_file(file, EmailMessage, policy=SMTP)
    emails = [line.strip() for line in args.recipients.read_text().splitlines() if line.strip()]
    host, _, port = args.server.partition(":")
    failed = 0
    with (
        psycopg.connect(args.database, autocommit=True) as db,
        smtplib.SMTP(host, int(port)) as mta,
    ):
        for email, return_path in return_paths(db, emails, args.campaign):
            if not send(mta, mail, email, return_path):
                failed += 1
    sys.exit(failed > 0)


def return_paths(
    db: psycopg.Connection[tuple[str, str]], emails: list[str], campaign: str
) -> Iterator[tuple[str, str]]:
    """Yield each of *emails* that may be mailed, and the return path for it."""
    for start in range(0, len(emails), BATCH):
        batch = emails[start : start + BATCH]
        yield from db.execute(ASK, {"emails": batch, "campaign": campaign})


def send(mta: smtplib.SMTP, mail: EmailMessage, email: str, return_path: str) -> bool:
    """Hand *mail* to the mail server; return whether it took it."""
    del mail["To"]
    mail["To"] = email
    try:
        mta.sendmail(return_path, [email], mail.as_bytes())
    except smtplib.SMTPRecipientsRefused as refused:
        sys.stderr.write(f"{email}: {refused.recipients[email]}\n")
        return False
    return True


def read_arguments() -> argparse.Namespace:
    """Return the words of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mail", type=Path)
    parser.add_argument("recipients", type=Path)
    parser.add_argument("--campaign", required=True, help="another one for each mailing")
    parser.add_argument("--database", required=True, help="URL of mtabounce's database")
    parser.add_argument("--server", default="localhost:25", help="your mail server")
    return parser.parse_args()


if __name__ == "__main__":
    main()
