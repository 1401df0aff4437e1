"""
Fetches bounces from mailboxes. A mail is deleted there only once it is committed here.

Mails are fetched in batches. Each is read, to tell bounces from other mail; the bounces and the
ids of all of them are committed in one transaction; then the bounces are marked as deleted, which
the server does at QUIT. Whatever is not as it should be ends the session without QUIT, and the
next one fetches again what it is to delete, and finds by its digest that it was stored already.
All other mail is left, and looked at once.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from prometheus_client import Counter, Gauge
from psycopg import AsyncConnection

from mtabounce.errors import ConfigError, StoreUnavailable, TryAgainLater, brief
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
from mtabounce.sources.polled import ATTEMPTS, BATCH, BATCH_BYTES, Mail, Tally, batches, plan
from mtabounce.store import inputs
from mtabounce.store import mailboxes as store
from mtabounce.store.connection import Connect

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
FAILURES = 5  # in one poll, before the server is given up for now
FIRST_WAIT = 60.0  # seconds, after a failure; doubled up to …
LONGEST_WAIT = 3600.0
REFUSED_WAIT = 1500.0  # after a wrong password
MOST_REFUSALS = 3  # in one …
HOUR = timedelta(hours=1)  # … after which nobody tries again
TELL = 30.0  # seconds between two lines on a long first run
log = logging.getLogger(__name__)

Connection = AsyncConnection[Any]
Progress = Callable[[Tally], None]


class Poller:
    """
    Polls one mailbox.

    *stored* is called after each commit; *judging* is shared, behind *turn*. *progress* is told of
    each batch; None: the log is, now and then.
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
        progress: Progress | None = None,
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
        self._progress = progress or slowly(settings.title)
        self._source = f"{protocol.title.lower()}:{settings.title}"

    async def run(self) -> None:
        """Poll again and again, and wait longer after a failure."""
        wait = 0.0
        while True:
            try:
                await self.poll()
            except MailboxRefused as error:
                wait = max(REFUSED_WAIT, min(wait * 2, LONGEST_WAIT))
                log.error("mailbox %s: %s", self.name, error)  # noqa: TRY400 (says it all)
            except (TryAgainLater, ConfigError, psycopg.Error, OSError) as error:
                wait = min(max(FIRST_WAIT, wait * 2), LONGEST_WAIT)
                log.warning("mailbox %s: %s", self.name, brief(error))
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
        try:
            if again:
                await store.forget_others(conn, self.key)
            await self._visit_all(conn, tally)
        except (MailboxError, ConfigError, OSError) as error:
            await self._note_trouble(conn, error)
            raise
        else:
            if not self._dry_run:
                await store.succeeded(conn, self.key)
        finally:
            with suppress(psycopg.Error):
                await store.unlock(conn, self.key)

    async def _note_trouble(self, conn: Connection, error: Exception) -> None:
        if isinstance(error, NotTried):
            return
        note = store.refused if isinstance(error, MailboxRefused) else store.failed
        with suppress(psycopg.Error):
            await note(conn, self.key, brief(error))

    async def _visit_all(self, conn: Connection, tally: Tally) -> None:
        goes_on, careful = True, False
        while goes_on:
            session = await self._open(conn)
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

    async def _open(self, conn: Connection) -> Session:
        """
        Log in, unless that was refused too often: by whichever host, and before whichever restart.

        A password that was changed since counts as a new one.
        """
        standing = await store.standing(conn, self.key)
        since = max(datetime.now(UTC) - HOUR, self._settings.secrets_changed_at())
        tried = [at for at in standing.refused_at if at > since]
        if len(tried) >= MOST_REFUSALS:
            again = (tried[-MOST_REFUSALS] + HOUR).astimezone()
            raise NotTried(
                f"not tried before {again:%H:%M}, as the account might be locked;"
                f" the last time: {standing.trouble}"
            )
        return await self._protocol.open(self._settings)

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
        entries = await session.entries()
        known = await store.known(conn, self.key, [entry.uid for entry in entries if entry.uid])
        todo = plan(entries, known, self._settings)
        tally.waiting = len(todo)
        tally.large = sum(entry.size > self._settings.max_size for entry in entries)
        for batch in batches(todo, 1 if careful else BATCH):
            mails, tried = await self._fetch(session, batch)
            await self._keep(conn, session, mails, tally)
            tally.waiting -= tried
            tally.looked_at += tried
            self._tell(tally)
            if time.monotonic() > until:
                break
        await session.quit()
        if self._dry_run:
            return False
        if not tally.waiting and all(entry.uid for entry in entries):
            await store.forget_gone(conn, self.key, [entry.uid for entry in entries])
        return tally.waiting > 0

    async def _fetch(self, session: Session, batch: Sequence[Entry]) -> tuple[list[Mail], int]:
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
        mails = [Mail(*one, verdict) for one, verdict in zip(found, judged, strict=True)]
        return mails, tried

    async def _keep(
        self,
        conn: Connection,
        session: Session,
        mails: Sequence[Mail],
        tally: Tally,
    ) -> None:
        ours = [one for one in mails if one.is_ours]
        unique = {one.digest: one for one in ours}
        before = await store.stored_before(conn, self.key, unique) if unique else set()
        fresh = [one for digest, one in unique.items() if digest not in before]
        tally.other += len(mails) - len(ours)
        if self._dry_run:
            tally.lines += (one.intention(self._settings.keep) for one in mails)
            return
        async with conn.transaction():
            await inputs.append(conn, [one.raw(self._source) for one in fresh])
            await store.note(conn, self.key, list({one.uid: one.row() for one in mails}.values()))
        INPUTS.labels(self._protocol.title.lower()).inc(len(fresh))
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

    def _tell(self, tally: Tally) -> None:
        WAITING.labels(self.name).set(tally.waiting)
        self._progress(tally)


def slowly(name: str) -> Progress:
    """Return what logs the progress with the mailbox *name*: now and then, where it is long."""
    told_at = time.monotonic()

    def tell(tally: Tally) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TELL:
            told_at = time.monotonic()
            log.info("mailbox %s: %d stored, %d to go", name, tally.stored, tally.waiting)

    return tell


class NotTried(MailboxRefused):
    """The server refused us so often that it was not asked again."""


class _FetchFailed(Exception):
    """A mail could not be fetched."""

    def __init__(self, entry: Entry, error: Exception) -> None:
        super().__init__(f"mail {entry.uid or entry.number}: {brief(error)}")
        self.entry = entry


def _result(error: BaseException) -> str:
    if isinstance(error, MailboxRefused):
        return "refused"
    if isinstance(error, MailboxError | OSError):
        return "failed"
    return "put_off" if isinstance(error, TryAgainLater | psycopg.Error) else "ended"
