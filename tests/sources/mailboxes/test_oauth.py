"""OAuth 2 with a real token server on loopback, that answers as Google's and Microsoft's do."""

import http.server
import json
import ssl
import threading
from urllib.parse import parse_qs

import pytest

from mtabounce.sources.mailboxes import MailboxError, MailboxRefused

GOOGLE = {  # https://developers.google.com/identity/protocols/oauth2/web-server#offline
    "access_token": "swordfish",
    "expires_in": 3920,
    "scope": "https://mail.google.com/",
    "token_type": "Bearer",
}
MICROSOFT = {  # https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
    "token_type": "Bearer",
    "scope": "https://outlook.office.com/POP.AccessAsUser.All",
    "expires_in": 4021,
    "ext_expires_in": 4021,
    "access_token": "swordfish",
    "refresh_token": "refresh-2",
}
EXPIRED = {
    "error": "invalid_grant",
    "error_description": "AADSTS700082: The refresh token has expired.\r\nTrace ID: 1\x1b[31m",
    "error_codes": [700082],
}


class Tokens(http.server.ThreadingHTTPServer):
    """Answers what it is told to, and remembers the forms that came."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://localhost:{self.server_port}/token"
        self.status, self.answer, self.location, self.forms = 200, GOOGLE, "", []

    def shutdown_request(self, request):
        request.close()

    def handle_error(self, *_):
        """Say nothing: a client that does not trust it goes away."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        self.server.forms.append({name: value[0] for name, value in form.items()})
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        body = json.dumps(self.server.answer).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_GET(self):
        self.server.forms.append("GET")
        self.do_POST()

    def log_message(self, *_):
        pass


@pytest.fixture
def tokens(certificate, monkeypatch):
    files = certificate("localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    with Tokens(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def oauth(tokens, secret):
    def make(**changes):
        known = {
            "token_url": tokens.url,
            "client_id": "mtabounce",
            "refresh_token_file": secret("refresh-1\n", "refresh"),
        }
        return {name: value for name, value in (known | changes).items() if value}

    return make


async def test_google_gives_a_token_and_keeps_the_refresh_token(
    server, tokens, oauth, poller, stored, secret
):
    settings = oauth(client_secret_file=secret("client secret", "client"))

    await poller(password_file=None, oauth=settings).poll()

    assert tokens.forms == [
        {
            "client_id": "mtabounce",
            "grant_type": "refresh_token",
            "refresh_token": "refresh-1",
            "client_secret": "client secret",
        }
    ]
    assert (len(await stored()), server.mails) == (3, {})


async def test_new_refresh_token_of_microsoft_is_kept_for_the_next_time(
    server, tokens, oauth, poller, tmp_path
):
    tokens.answer = MICROSOFT
    scope = "https://outlook.office.com/POP.AccessAsUser.All offline_access"
    settings = oauth(scope=scope)

    for _ in range(2):
        await poller(password_file=None, oauth=settings).poll()

    assert [form["refresh_token"] for form in tokens.forms] == ["refresh-1", "refresh-2"]
    assert tokens.forms[0]["scope"] == scope
    kept = tmp_path / "refresh"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("refresh-2\n", 0o600)
    assert sorted(path.name for path in tmp_path.iterdir() if "refresh" in path.name) == ["refresh"]


async def test_application_in_its_own_name_needs_no_refresh_token(tokens, oauth, poller, secret):
    tokens.answer = MICROSOFT | {"refresh_token": None}
    client = secret("client secret", "client")
    settings = oauth(
        refresh_token_file=None,
        client_secret_file=client,
        scope="https://outlook.office365.com/.default",
    )

    assert (await poller(password_file=None, oauth=settings).poll()).stored == 3

    assert tokens.forms == [
        {
            "client_id": "mtabounce",
            "grant_type": "client_credentials",
            "client_secret": "client secret",
            "scope": "https://outlook.office365.com/.default",
        }
    ]


@pytest.mark.parametrize(
    ("status", "answer", "kind", "why"),
    [
        (
            400,
            EXPIRED,
            MailboxRefused,
            "invalid_grant: AADSTS700082: The refresh token has expired.",
        ),
        (401, {"error": "invalid_client"}, MailboxRefused, "answered 401: invalid_client"),
        (503, {}, MailboxError, "answered 503"),
        (200, {"token_type": "Bearer"}, MailboxError, "gave no token"),
        (200, [], MailboxError, "gave no token"),
        (200, GOOGLE | {"access_token": "a\r\nb"}, MailboxError, "OAuth gave no token"),
    ],
)
async def test_what_goes_wrong_is_one_line_without_secrets(
    server, tokens, oauth, poller, status, answer, kind, why
):
    tokens.status, tokens.answer = status, answer

    with pytest.raises(kind) as refusal:
        await poller(password_file=None, oauth=oauth()).poll()

    said = str(refusal.value)
    assert why in said
    assert said.isprintable()
    assert "refresh-1" not in said
    assert isinstance(refusal.value, MailboxRefused) == (kind is MailboxRefused)
    assert not any(line.startswith("AUTH") for line in server.heard)


async def test_redirect_gets_no_secret(server, tokens, oauth, poller):
    tokens.status, tokens.location = 302, f"{tokens.url}?other"

    with pytest.raises(MailboxError, match="answered 302"):
        await poller(password_file=None, oauth=oauth()).poll()

    assert len(tokens.forms) == 1


async def test_token_server_that_proves_nothing_gets_no_secret(
    tokens, oauth, poller, monkeypatch, certificate
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate("localhost")[0]))

    with pytest.raises(MailboxError, match="certificate verify failed"):
        await poller(password_file=None, oauth=oauth()).poll()

    assert tokens.forms == []


async def test_refresh_token_that_cannot_be_kept_is_warned_of(
    tokens, oauth, poller, monkeypatch, caplog
):
    def full(*_):
        raise OSError(28, "No space left on device")

    tokens.answer = MICROSOFT
    monkeypatch.setattr("mtabounce.sources.mailboxes._oauth.shutil.copymode", full)

    await poller(password_file=None, oauth=oauth()).poll()

    assert "the new refresh token cannot be kept" in caplog.text
    assert "refresh-2" not in caplog.text
