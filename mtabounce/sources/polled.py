"""The mails of a mailbox: which are to be fetched, what each is, and what became of them all."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mtabounce.address import parse
from mtabounce.mime import Message
from mtabounce.model import Judged, Outcome, RawInput
from mtabounce.sources.mailboxes import Entry, MailboxSettings
from mtabounce.store.mailboxes import Known

OURS = {Outcome.BOUNCE, Outcome.COMPLAINT, Outcome.DELAYED, Outcome.DELIVERED}
BATCH = 100  # mails
BATCH_BYTES = 20 * 2**20
ATTEMPTS = 5  # to fetch a mail, before it is left where it is, but for …
DELETIONS = 20  # of a mail that the server goes on having, likewise
RETRY = timedelta(days=1)  # … one attempt a day
_TO = (b"delivered-to", b"x-original-to", b"envelope-to", b"x-envelope-to", b"to")


@dataclass(slots=True)
class Tally:
    """What one look into a mailbox came to."""

    stored: int = 0
    copies: int = 0  # stored before, perhaps under another id
    deleted: int = 0
    other: int = 0  # no bounces; left
    failed: int = 0  # could not be fetched; left
    large: int = 0  # larger than is fetched; left
    waiting: int = 0  # not looked at yet
    looked_at: int = 0
    lines: list[str] = field(default_factory=list)  # what would be done, in a dry run


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was fetched, and read."""

    entry: Entry
    content: bytes
    judged: Judged | str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the mail."""
        return hashlib.sha256(self.content).digest()

    @property
    def uid(self) -> str:
        """What the mail is known by; its digest where the server gives it no id."""
        return self.entry.uid or f"sha256:{self.digest.hex()}"

    @property
    def is_ours(self) -> bool:
        """Whether it is a bounce, or tells of a delivery otherwise."""
        return not isinstance(self.judged, str) and self.judged.reading.outcome in OURS

    def raw(self, source: str) -> RawInput:
        """Return what is put into the inbox."""
        return RawInput(
            source=source,
            content=self.content,
            received_at=datetime.now(UTC),
            forward_paths=tuple(_addresses(self.content)),
            peer="",
        )

    def intention(self, keep: str) -> str:
        """Return what would be done with it, on one line; *keep* is the setting."""
        if isinstance(self.judged, str):
            return f"leave   {self.uid}  cannot be read: {self.judged}"
        outcome = self.judged.reading.outcome
        who = ", ".join(report.final_recipient for report in self.judged.reading.reports)
        does = "leave " if not self.is_ours else keep.replace("leave", "store")
        return f"{does:7} {self.uid}  {outcome}{': ' if who else ''}{who}"

    def row(self) -> dict[str, Any]:
        """Return what is noted of it."""
        state = "stored" if self.is_ours else "other"
        return {"uid": self.uid, "digest": self.digest, "size": self.entry.size, "state": state}


def plan(
    entries: Iterable[Entry], known: Mapping[str, Known], settings: MailboxSettings
) -> list[Entry]:
    """
    Return those of *entries* that are to be fetched, the new ones first; some are *known*.

    One that is to be deleted is fetched even where it was stored: a server may give the id of a
    mail that it deleted to a new one, which may be as large (RFC 1939 §7).
    """
    new, again = [], []
    for entry in entries:
        seen = known.get(entry.uid)
        if entry.size > settings.max_size:
            continue
        if seen is None or (seen.state != "failed" and seen.size != entry.size):
            new.append(entry)
        elif seen.state == "failed" or (seen.state == "stored" and settings.keep == "delete"):
            most = ATTEMPTS if seen.state == "failed" else DELETIONS
            if seen.attempts < most or datetime.now(UTC) - seen.seen_at > RETRY:
                again.append(entry)
    return new + again


def batches(entries: Iterable[Entry], most: int) -> Iterator[list[Entry]]:
    """Yield *entries* in batches of at most *most*, and BATCH_BYTES."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == most or size + entry.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def _addresses(content: bytes) -> Iterator[str]:
    """Yield what the mail was sent to, as its headers say; a signed return path proves itself."""
    headers = Message(content).headers
    seen = set()
    for name in _TO:
        for value in headers.all_raw(name)[:5]:
            address = parse(value[:1000].decode("utf-8", "replace"))
            if address and address not in seen:
                seen.add(address)
                yield address
