import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mtabounce.sources.mailboxes import Pop3Settings
from mtabounce.sources.mailboxes.pop3 import PROTOCOL
from mtabounce.sources.poller import Poller
from tests.sources.mailboxes.pop3_server import Server
from tests.working import judging

DSN = """\
X-Uid: {uid}\r
From: MAILER-DAEMON@mx.example.org\r
Message-ID: <{uid}@mx.example.org>\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.org\r
\r
Final-Recipient: rfc822; {uid}@example.net\r
Action: failed\r
Status: 5.1.1\r
\r
..two dots\r
--b--\r
"""
HUMAN = (
    b"From: Ann <ann@example.net>\r\nTo: bounces@b.example.org\r\nSubject: Lunch\r\n\r\nNoon?\r\n"
)


def dsn(uid):
    return DSN.format(uid=uid).encode()


@pytest.fixture
async def server():
    """A server with three bounces."""
    server = Server({f"u{number}": dsn(f"u{number}") for number in range(3)})
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def judges():
    judges = judging()
    yield judges
    await judges.close()


@pytest.fixture
def section(server, secret):
    """What a configuration says of the mailbox at *server*."""

    def make(**changes):
        known = {
            "host": "localhost",
            "port": server.port,
            "username": "bounces",
            "password_file": secret(server.password),
            "tls": "none",
            "timeout": "1s",
        }
        return known | changes

    return make


@pytest.fixture
def settings(section):
    def make(**changes):
        known = section(**changes)
        return Pop3Settings.model_validate(
            {name: value for name, value in known.items() if value is not None}
        )

    return make


@pytest.fixture
def poller(connecting, judges, settings):
    def make(*, dry_run=False, **changes):
        return Poller(
            PROTOCOL,
            settings(**changes),
            connecting,
            judges,
            asyncio.Lock(),
            lambda: None,
            dry_run=dry_run,
        )

    return make


@pytest.fixture
async def stored(connecting):
    """A function that returns the uids of the mails in the inbox, each as often as it is there."""

    async def read():
        async with await connecting() as conn:
            cursor = await conn.execute("SELECT content FROM inputs ORDER BY id")
            return [content.split()[1].decode() for (content,) in await cursor.fetchall()]

    return read


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A function that makes a self-signed certificate for a name: its file, and its key's."""

    def make(name, days=2):
        folder = tmp_path_factory.mktemp("certificate")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
        (folder / "key.pem").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return folder / "cert.pem", folder / "key.pem"

    return make
