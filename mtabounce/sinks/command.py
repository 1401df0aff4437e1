"""A command that gets each message as JSON on its standard input, and takes it by exit 0."""

import asyncio

from mtabounce.sinks import Kind, NotTaken
from mtabounce.sinks._http import as_body
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message


async def _send(sink: SinkSettings, message: Message) -> None:
    told = {
        "id": message.id,
        "event": message.event,
        "recipient": message.recipient,
        "at": message.created_at.isoformat(),
        **message.payload,
    }
    try:
        process = await asyncio.create_subprocess_exec(
            *sink.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise NotTaken(f"{sink.command[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(sink.timeout.total_seconds()):
            _, said = await process.communicate(as_body(told) + b"\n")
    except TimeoutError:
        process.kill()
        await process.wait()
        raise NotTaken(f"no end within {sink.timeout}") from None
    if process.returncode:
        why = said.decode(errors="replace").strip()[-300:]
        raise NotTaken(f"exit {process.returncode}: {why}")


SINK = Kind(send=_send, needs=("command",))
