"""Commands as a user runs them, on a database with some bounces in it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
from click.testing import CliRunner, Result

from mtabounce.cli import mtabounce
from mtabounce.model import RawInput
from mtabounce.store import inputs
from mtabounce.store.connection import connect
from tests.working import worked

DSN = """\
From: MAILER-DAEMON@mx.example.org
Message-ID: <{name}@mx.example.org>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {name}@{domain}
Action: failed
Status: {status}
Diagnostic-Code: smtp; {said}

--b
Content-Type: text/rfc822-headers

Message-ID: <{name}@lists.example.org>
Subject: News
X-Campaign-Id: {campaign}

--b--
"""
MAILS = [
    ("ann", "example.org", "5.1.1", "550 5.1.1 no such user", "spring"),
    ("bob", "example.net", "5.2.2", "552 5.2.2 mailbox full", "spring"),
    ("cid", "example.net", "5.0.0", "599 gargle 12345 blaster", "summer"),
]


def dsn(mail: tuple[str, ...]) -> bytes:
    names = ("name", "domain", "status", "said", "campaign")
    return DSN.format(**dict(zip(names, mail, strict=True))).encode()


async def _fill(url: str) -> None:
    connecting = partial(connect, url, application_name="test")
    contents = [*map(dsn, MAILS), b"Subject: lunch 4711\n\nAt noon?\n"]
    async with await connecting() as conn:
        raws = [
            RawInput(source="receiver", content=one, received_at=datetime.now(UTC))
            for one in contents
        ]
        await inputs.append(conn, raws)
    await worked(connecting)


@pytest.fixture
def cli(database_url: str, tmp_path) -> Callable[..., Result]:
    """Runs a command; an error that is ours is in the result's exception."""
    asyncio.run(_fill(database_url))
    config = tmp_path / "mtabounce.toml"
    config.write_text(f'[database]\nurl = "{database_url}"\n')

    def run(*words: str) -> Result:
        return CliRunner().invoke(mtabounce, ["--config", str(config), *words])

    return run
