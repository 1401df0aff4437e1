"""
Fetches bounces from mailboxes. A mail is deleted there only once it is committed here.

Mails are fetched in batches. Each is read, to tell bounces from other mail; the bounces and the
ids of all of them are committed in one transaction; then the bounces are marked as deleted, which
the server does at QUIT. Whatever is not as it should be ends the session without QUIT, and the
next one finds by the ids what was stored already. All other mail is left, and looked at once.
"""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from prometheus_client import Counter, Gauge
from psycopg import AsyncConnection

from mtabounce.address import parse
from mtabounce.errors import ConfigError, StoreUnavailable, TryAgainLater
from mtabounce.mime import Message
from mtabounce.model import Judged, Outcome, RawInput
from mtabounce.pipeline.inbox import INPUTS
from mtabounce.pipeline.judging import Judging
from mtabounce.sources.mailboxes import (
    Entry,
    Gone,
    MailboxError,
    MailboxRefused,
    MailboxSettings,
    MailTooLarge,
    Protocol,
    Session,
)
from mtabounce.store import inputs
from mtabounce.store import mailboxes as store

POLLS = Counter("mtabounce_mailbox_polls_total", "Looks into mailboxes.", ["mailbox", "result"])
MAILS = Counter(
    "mtabounce_mailbox_mails_total",
    "Mails in mailboxes: stored, deleted, copy (stored before), other (no bounce, left), failed.",
    ["mailbox", "result"],
)
WAITING = Gauge("mtabounce_mailbox_waiting", "Mails that are to be fetched yet.", ["mailbox"])
SUCCESS = Gauge(
    "mtabounce_mailbox_last_success_timestamp_seconds", "When all was fetched.", ["mailbox"]
)
OURS = {Outcome.BOUNCE, Outcome.COMPLAINT, Outcome.DELAYED, Outcome.DELIVERED}
BATCH = 100  # mails
BATCH_BYTES = 20 * 2**20
ATTEMPTS = 5  # to fetch a mail, before it is left where it is, but for …
RETRY = timedelta(days=1)  # … one attempt a day
FAILURES = 5  # in one poll, before the server is given up for now
FIRST_WAIT = 60.0  # seconds, after a failure; doubled up to …
LONGEST_WAIT = 3600.0
REFUSED_WAIT = 1500.0  # after a wrong password: fewer than three an hour lock no account
_TO = (b"delivered-to", b"x-original-to", b"envelope-to", b"x-envelope-to", b"to")
log = logging.getLogger(__name__)

Connect = Callable[[], Awaitable[AsyncConnection[Any]]]
Connection = AsyncConnection[Any]


@dataclass(slots=True)
class Tally:
    """What one look into a mailbox came to."""

    stored: int = 0
    copies: int = 0  # stored before, under another id
    deleted: int = 0
    other: int = 0  # no bounces; left
    failed: int = 0  # could not be fetched; left
    large: int = 0  # larger than is fetched; left
    waiting: int = 0  # not looked at yet
    lines: list[str] = field(default_factory=list)  # what would be done, in a dry run


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done with the mails of a mailbox."""

    doomed: list[Entry]  # stored before
    new: list[Entry]  # those that failed before come last


@dataclass(frozen=True, slots=True)
class _Mail:
    entry: Entry
    content: bytes
    judged: Judged | str

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.content).digest()

    @property
    def uid(self) -> str:
        return self.entry.uid or f"sha256:{self.digest.hex()}"

    @property
    def is_ours(self) -> bool:
        return not isinstance(self.judged, str) and self.judged.reading.outcome in OURS


class Poller:
    """
    Polls one mailbox. *stored* is called after each commit; *judging* is shared, behind *turn*.

    With *dry_run* it changes nothing, here or there, and says in the tally what it would do.
    """

    def __init__(
        self,
        protocol: Protocol,
        settings: MailboxSettings,
        connect: Connect,
        judging: Judging,
        turn: asyncio.Lock,
        stored: Callable[[], None],
        *,
        dry_run: bool = False,
    ) -> None:
        self.name = settings.title
        self.key = protocol.key(settings)
        self._protocol = protocol
        self._settings = settings
        self._connect = connect
        self._judging = judging
        self._turn = turn
        self._stored = stored
        self._dry_run = dry_run
        self._source = f"{protocol.title.lower()}:{settings.title}"

    async def run(self) -> None:
        """Poll again and again, and wait longer after a failure."""
        wait = 0.0
        while True:
            try:
                await self.poll()
            except (MailboxRefused, ConfigError) as error:
                wait = max(REFUSED_WAIT, min(wait * 2, LONGEST_WAIT))
                log.error("mailbox %s: %s", self.name, error)  # noqa: TRY400 (says it all)
            except (TryAgainLater, psycopg.Error, OSError) as error:
                wait = min(max(FIRST_WAIT, wait * 2), LONGEST_WAIT)
                log.warning("mailbox %s: %s", self.name, _brief(error))
            except Exception:
                wait = LONGEST_WAIT
                log.exception("mailbox %s", self.name)
            else:
                wait = 0.0
            pause = max(wait, self._settings.interval.total_seconds())
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311 (no secret)

    async def poll(self, *, again: bool = False) -> Tally:
        """
        Fetch all that is new, in as many sessions as it takes.

        With *again*, mails that were no bounces are looked at once more. Raises MailboxError
        and StoreUnavailable; what was stored until then stays stored.
        """
        tally = Tally()
        try:
            async with await self._connect() as conn:
                await self._drain(conn, tally, again=again)
        except BaseException as error:
            POLLS.labels(self.name, _result(error)).inc()
            raise
        finally:
            for name in ("stored", "deleted", "copies", "other", "failed"):
                MAILS.labels(self.name, name.replace("copies", "copy")).inc(getattr(tally, name))
            WAITING.labels(self.name).set(tally.waiting)
        POLLS.labels(self.name, "ok").inc()
        SUCCESS.labels(self.name).set_to_current_time()
        return tally

    async def _drain(self, conn: Connection, tally: Tally, *, again: bool) -> None:
        if not await store.lock(conn, self.key):
            raise StoreUnavailable("another mtabounce is polling it")
        if again:
            await store.forget_others(conn, self.key)
        try:
            await self._visit_all(conn, tally)
        finally:
            with suppress(psycopg.Error):
                await store.unlock(conn, self.key)

    async def _visit_all(self, conn: Connection, tally: Tally) -> None:
        goes_on, careful = True, False
        while goes_on:
            session = await self._protocol.open(self._settings)
            try:
                goes_on = await self._visit(conn, session, tally, careful=careful)
            except _FetchFailed as failure:
                session.abort()
                if careful or self._dry_run:
                    await self._leave_for_later(conn, failure, tally)
                careful = True  # one by one: then it is clear which mail it is
            except BaseException:
                session.abort()
                raise

    async def _leave_for_later(
        self, conn: Connection, failure: "_FetchFailed", tally: Tally
    ) -> None:
        """Note that a mail could not be fetched. Raises MailboxError where that is in vain."""
        if not failure.entry.uid or self._dry_run:
            raise MailboxError(str(failure)) from failure
        log.warning("mailbox %s: a mail is left for later: %s", self.name, failure)
        await self._note_failure(conn, failure)
        tally.failed += 1
        if tally.failed >= FAILURES:
            raise MailboxError(str(failure)) from failure

    async def _visit(
        self, conn: Connection, session: Session, tally: Tally, *, careful: bool
    ) -> bool:
        """Do one session, with *careful* mail by mail; return whether there is more to do."""
        until = time.monotonic() + self._settings.session_timeout.total_seconds()
        known = {one.uid: one for one in await store.known(conn, self.key)}
        entries = await session.entries()
        plan = self._plan(entries, known)
        digests = {one.digest for one in known.values() if one.state == "stored"} - {None}
        if not self._dry_run:
            await self._delete(session, plan.doomed, tally)
        tally.waiting = len(plan.new)
        tally.large = sum(entry.size > self._settings.max_size for entry in entries)
        for batch in _batches(plan.new, 1 if careful else BATCH):
            mails, tried = await self._fetch(session, batch)
            await self._keep(conn, session, mails, digests, tally)
            tally.waiting -= tried
            self._tell(tally)
            if time.monotonic() > until:
                break
        await session.quit()
        if self._dry_run:
            return False
        if not tally.waiting and all(entry.uid for entry in entries):
            await store.forget_gone(conn, self.key, [entry.uid for entry in entries])
        return tally.waiting > 0

    def _plan(self, entries: Sequence[Entry], known: dict[str, store.Known]) -> _Plan:
        doomed, new, late = [], [], []
        for entry in entries:
            seen = known.get(entry.uid)
            if entry.size > self._settings.max_size:
                continue
            if seen is None or (seen.state != "failed" and seen.size != entry.size):
                new.append(entry)
            elif seen.state == "failed":
                if seen.attempts < ATTEMPTS or datetime.now(UTC) - seen.seen_at > RETRY:
                    late.append(entry)
            elif seen.state == "stored" and self._settings.keep == "delete":
                doomed.append(entry)
        return _Plan(doomed, new + late)

    async def _fetch(self, session: Session, batch: Sequence[Entry]) -> tuple[list[_Mail], int]:
        """Return mails of *batch*, and how many were tried: a server may lie about sizes."""
        found: list[tuple[Entry, bytes]] = []
        tried = size = 0
        for entry in batch:
            if size > BATCH_BYTES:
                break
            tried += 1
            try:
                content = await session.fetch(entry)
            except Gone:
                continue  # it is there again another time, or never
            except (MailboxError, OSError) as error:
                raise _FetchFailed(entry, error) from error
            size += len(content)
            found.append((entry, content))
        try:
            await session.check()  # before anything is believed: is the server still with us?
        except (MailboxError, OSError) as error:
            raise _FetchFailed(batch[-1], error) from error
        async with self._turn:
            judged = await self._judging.judge([(self._source, content) for _, content in found])
        mails = [_Mail(*one, verdict) for one, verdict in zip(found, judged, strict=True)]
        return mails, tried

    async def _keep(
        self,
        conn: Connection,
        session: Session,
        mails: Sequence[_Mail],
        digests: set[bytes | None],
        tally: Tally,
    ) -> None:
        ours = [one for one in mails if one.is_ours]
        fresh = list({one.digest: one for one in ours if one.digest not in digests}.values())
        tally.other += len(mails) - len(ours)
        if self._dry_run:
            tally.lines += map(self._intention, mails)
            return
        async with conn.transaction():
            await inputs.append(conn, [self._raw(one) for one in fresh])
            await store.note(conn, self.key, list({one.uid: _row(one) for one in mails}.values()))
        INPUTS.labels(self._protocol.title.lower()).inc(len(fresh))
        digests |= {one.digest for one in fresh}
        tally.stored += len(fresh)
        tally.copies += len(ours) - len(fresh)
        self._stored()
        if self._settings.keep == "delete":
            await self._delete(session, [one.entry for one in ours], tally)

    async def _delete(self, session: Session, entries: Sequence[Entry], tally: Tally) -> None:
        for entry in entries:
            await session.delete(entry)
            tally.deleted += 1

    async def _note_failure(self, conn: Connection, failure: "_FetchFailed") -> None:
        entry = failure.entry
        row = {"uid": entry.uid, "digest": None, "size": entry.size, "state": "failed"}
        times = ATTEMPTS if isinstance(failure.__cause__, MailTooLarge) else 1
        for _ in range(times):
            await store.note(conn, self.key, [row])

    def _raw(self, mail: _Mail) -> RawInput:
        return RawInput(
            source=self._source,
            content=mail.content,
            received_at=datetime.now(UTC),
            forward_paths=tuple(_addresses(mail.content)),
            peer="",
        )

    def _intention(self, mail: _Mail) -> str:
        if isinstance(mail.judged, str):
            return f"leave   {mail.uid}  cannot be read: {mail.judged}"
        outcome = mail.judged.reading.outcome
        who = ", ".join(report.final_recipient for report in mail.judged.reading.reports)
        does = "leave " if not mail.is_ours else self._settings.keep.replace("leave", "store")
        return f"{does:7} {mail.uid}  {outcome}{': ' if who else ''}{who}"

    def _tell(self, tally: Tally) -> None:
        WAITING.labels(self.name).set(tally.waiting)
        if tally.waiting >= BATCH:
            log.info("mailbox %s: %d stored, %d to go", self.name, tally.stored, tally.waiting)


class _FetchFailed(Exception):
    """A mail could not be fetched."""

    def __init__(self, entry: Entry, error: Exception) -> None:
        super().__init__(f"mail {entry.uid or entry.number}: {_brief(error)}")
        self.entry = entry


def _batches(entries: Sequence[Entry], most: int) -> Iterator[list[Entry]]:
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


def _row(mail: _Mail) -> dict[str, Any]:
    state = "stored" if mail.is_ours else "other"
    return {"uid": mail.uid, "digest": mail.digest, "size": mail.entry.size, "state": state}


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


def _brief(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:500]


def _result(error: BaseException) -> str:
    if isinstance(error, MailboxRefused):
        return "refused"
    if isinstance(error, MailboxError | OSError):
        return "failed"
    return "put_off" if isinstance(error, TryAgainLater | psycopg.Error) else "ended"
