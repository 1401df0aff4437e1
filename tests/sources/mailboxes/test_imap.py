"""What an IMAP server says when it does not let us in, where no real server says it when asked."""

import asyncio

import pytest

from mtabounce.sources.mailboxes import MailboxError, MailboxRefused
from mtabounce.sources.mailboxes.imap import PROTOCOL


@pytest.fixture
def log_in(tmp_path):
    """A function that logs in to a server with this answer, and returns what is raised."""
    secret = tmp_path / "password"
    secret.write_text("sword fish")
    secret.chmod(0o600)

    async def log_in(answer):
        async def serve(reader, writer):
            writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
            while (command := (await reader.readline()).split())[1] != b"LOGIN":
                writer.write(command[0] + b" OK done\r\n")
            writer.write(command[0] + b" " + answer + b"\r\n")
            await reader.read()
            writer.close()
            ended.set()

        ended = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = PROTOCOL.settings(
            host="127.0.0.1", port=port, username="bounces", password_file=secret, tls="none"
        )
        async with server:
            with pytest.raises(MailboxError) as refusal:
                await PROTOCOL.open(settings)
            await ended.wait()
        return refusal.value

    return log_in


async def test_wrong_password_is_told_in_the_words_of_the_server(log_in):
    error = await log_in(b"NO [AUTHENTICATIONFAILED] It's wrong")

    assert isinstance(error, MailboxRefused)
    said = "[AUTHENTICATIONFAILED] It's wrong"
    assert str(error) == f"the server does not let bounces in: {said}"


async def test_server_that_is_busy_is_soon_asked_again(log_in):
    error = await log_in(b"NO [UNAVAILABLE] Temporary authentication failure")

    assert not isinstance(error, MailboxRefused)
