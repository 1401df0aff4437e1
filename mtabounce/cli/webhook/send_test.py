"""``mtabounce webhook send-test``: a sample, signed as the provider would, to one's own webhook."""

import http.client
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode, urlsplit

import click
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from psycopg import Connection

from mtabounce.cli._database import connected
from mtabounce.cli.webhook._common import checked_settings, masked, nowhere, url_of, webhook_of
from mtabounce.errors import MtabounceError, StoreUnavailable, UsageError
from mtabounce.store import bounces
from mtabounce.web.refusals import Hidden, without_secrets
from mtabounce.web.signing import PRIVATE, Made, PrivateKey, Proofs, sample, signed
from mtabounce.web.webhook import Webhook
from mtabounce.web.webhook_providers import provider_of
from mtabounce.web.webhook_settings import WebhookSettings

_PATIENCE = 30.0  # seconds for the answer, and then for the row
_STRANGER = {
    "sns": "only Amazon can sign for it: send to bounce@simulator.amazonses.com to see it accept",
    "ecdsa": "to see it accept: --make-key test.key, then add test.key.pub to secret_files,"
    " reload mtabounce (SIGHUP), and send again with --key test.key",
}


@click.command()
@click.argument("name")
@click.option("--to", "url", help="Where to post.  [default: this host, as configured]")
@click.option("--recipient", help="Who bounces.  [default: a new address in example.net]")
@click.option(
    "--key", type=click.Path(path_type=Path), help="A private key in place of the provider's."
)
@click.option(
    "--make-key",
    type=click.Path(path_type=Path),
    help="Only make such a key: this file, and its public half beside it, in FILE.pub.",
)
@click.option("--dry-run", is_flag=True, help="Print the request, and send nothing.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    url: str | None,
    recipient: str | None,
    key: Path | None,
    make_key: Path | None,
    dry_run: bool,
) -> None:
    """
    Post a bounce to the webhook NAME, signed as its provider would, and show what becomes of it.

    The recipient is in example.net, so that no real address is touched. SendGrid, Postal, Amazon
    and Scaleway sign with a private key that nobody else has: there it is tested that a stranger
    is refused, or with --key a key of your own stands in.

    \b
    Example:
      mtabounce webhook send-test postmark
      mtabounce webhook send-test sendgrid --to https://bounces.example.org/webhooks/service/sendgrid
    """
    settings = checked_settings(ctx.obj)
    one = webhook_of(settings, name)
    whose = provider_of(name, one)
    kind = str(whose.table.auth.get("kind"))
    if make_key:
        _make_key(make_key, kind)
        return
    if not whose.table.sample:
        raise UsageError(f"[webhooks.{name}.table] has no sample to send")
    address = recipient or f"webhook-test-{token_hex(4)}@example.net"
    now = datetime.now(UTC)
    body = sample(whose, address, token_hex(12), now)
    made = signed(whose, body, _proofs(one, kind, _read_key(key)), now)
    target = url or url_of(settings.http, name)
    if dry_run:
        _print(target, made, Webhook(name, one, nowhere).hidden)
        return
    status, text = _post(target, made, None if url else settings.http.tls_certificate_file)
    click.echo(f"POST {target}: {status} {text}")
    is_stranger = kind in PRIVATE and key is None and bool(one.secret_files or one.topic_arns)
    ctx.exit(_explain(ctx.obj, status, address, kind if is_stranger and status == 401 else ""))


def _proofs(one: WebhookSettings, kind: str, key: PrivateKey | None) -> Proofs:
    tokens = [each.get_secret_value() for each in one.token_files]
    secrets = [each.get_secret_value() for each in one.secret_files]
    by_others = bool(tokens or one.password_file)  # then SNS may deliver raw, which can be tested
    return Proofs(
        secret=next(iter(secrets), ""),
        username=one.username,
        password=next(iter(one.passwords()), ""),
        token=next(iter(tokens), ""),
        key=key,
        topic="" if by_others and kind == "sns" else next(iter(one.topic_arns), ""),
        url=one.url,
    )


def _explain(config: Path | None, status: int, address: str, stranger: str) -> int:
    """Say what the answer means; return the exit code."""
    if stranger:
        mend = _STRANGER.get(stranger, _STRANGER["ecdsa"])
        click.echo(f"It is reached, and refuses what a stranger signed, as it must; {mend}.")
        return 0
    if status != 200:
        click.echo("It was refused: `mtabounce webhook doctor` says why, and what to do.")
        return 1
    try:
        with connected(config) as conn:
            click.echo(_become(conn, address))
    except MtabounceError as error:
        click.echo(f"Taken; what became of it is not known here: {error}")
    return 0


def _become(conn: Connection[Any], address: str) -> str:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for one in bounces.list_bounces(conn, recipient=address, limit=1):
            return f"It became bounce {one.id}: {one.recipient}, {one.type}, {one.reason}."
        time.sleep(0.1)
    return "Taken, but not read yet: see `mtabounce inputs list` (does a worker run?)"


def _context(own: Path | None) -> ssl.SSLContext:
    """Return whom to believe over TLS: on this host *own*, our certificate, and nobody else."""
    context = ssl.create_default_context(cafile=own)
    if own is not None:
        context.check_hostname = False  # it is for the name that others know us by
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _post(url: str, made: Made, own: Path | None) -> tuple[int, str]:
    """Return status and text of the answer. Raises StoreUnavailable where there is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--to {url!r} is no URL that can be posted to")
    query = urlencode(made.query)
    path = f"{parts.path or '/'}?{parts.query}{'&' if parts.query and query else ''}{query}"
    secure = parts.scheme == "https"
    connection = (
        http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=_PATIENCE, context=_context(own)
        )
        if secure
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=_PATIENCE)
    )
    try:
        connection.request("POST", path.rstrip("?"), made.body, dict(made.headers))
        answer = connection.getresponse()
        return answer.status, answer.read(500).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise StoreUnavailable(f"{url} does not answer: {error} (does serve run?)") from error
    finally:
        connection.close()


def _print(url: str, made: Made, hidden: Hidden) -> None:
    click.echo(f"POST {url}" + (f"?{masked(urlencode(made.query))}" if made.query else ""))
    for name, value in without_secrets(made.headers, hidden).items():
        click.echo(f"{name}: {value}")
    click.echo(f"\n{made.body.decode('utf-8', 'replace')}")


def _make_key(path: Path, kind: str) -> None:
    key: PrivateKey
    if kind == "ecdsa":
        key = ec.generate_private_key(ec.SECP256R1())
    elif kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
    else:
        raise UsageError("--make-key is for SendGrid and Postal, which sign with a private key")
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for name, content in ((path, private), (path.with_name(f"{path.name}.pub"), public)):
        _write(name, content)
        click.echo(f"{name} written")


def _write(path: Path, content: bytes) -> None:
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _read_key(path: Path | None) -> PrivateKey | None:
    if path is None:
        return None
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: no private key in PEM: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise UsageError(f"{path}: a key of another kind than providers sign with")
    return key
