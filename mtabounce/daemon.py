"""The daemon: starts every part, keeps them running, and stops them in order."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import uvloop

from mtabounce import assembly
from mtabounce.errors import StoreUnavailable, TryAgainLater
from mtabounce.lookup import Lookup
from mtabounce.pipeline import sent_mail
from mtabounce.pipeline.inbox import Inbox
from mtabounce.pipeline.judging import Judging
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.pipeline.upkeep import Upkeep
from mtabounce.pipeline.worker import Tell, Worker, ignore
from mtabounce.reload import Fresh, Reloading, hand_over_keys, is_ours
from mtabounce.settings import Settings
from mtabounce.sources.following import Following
from mtabounce.sources.journal import JournalTailer
from mtabounce.sources.pipe import Pipe
from mtabounce.sources.polling import Polling
from mtabounce.sources.receiver import Receiver
from mtabounce.sources.tailer import Tailer
from mtabounce.store.connection import Connect, connect, open_pool, open_pool_sync
from mtabounce.store.embedded import Embedded
from mtabounce.store.health import PROBE
from mtabounce.store.migrate import prepare
from mtabounce.store.state import spool_directory, state_directory
from mtabounce.store.unavailable import unavailable
from mtabounce.telling import Telling
from mtabounce.waiting import wait_for_store
from mtabounce.web.app import application
from mtabounce.web.callers import Callers
from mtabounce.web.late import late_api
from mtabounce.web.listmonk import ListmonkApi
from mtabounce.web.server import HttpServer
from mtabounce.web.spool import Spool
from mtabounce.web.webhooks import Webhooks

GRACE = 10.0  # seconds that work under way gets when we stop, in all parts together
LEAST_GRACE = 0.5  # seconds for the parts that come last
IDLE_IN_TRANSACTION = timedelta(minutes=15)  # a worker holds its claim while it parses
log = logging.getLogger(__name__)

_Running = list[asyncio.Task[None]]


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a daemon that has started can be reached."""

    mail: list[str]
    http: str
    database: str


@contextmanager
def _storage(settings: Settings) -> Iterator[str | None]:
    """
    Give the URL of a database that fits this program: migrated where it was empty.

    None: it was away, and we were told to stop. Raises as wait_for_store() does.
    """
    url = settings.database.url
    if url is None:
        with Embedded(state_directory(settings.state)) as embedded:
            prepare(embedded.url)
            yield embedded.url
    else:
        yield url if wait_for_store(settings, url) else None


def serve(settings: Settings, config: Path | None, announce: Callable[[Listening], None]) -> None:
    """
    Run every part until SIGTERM or SIGINT; SIGHUP reads *config* again.

    *announce* is called once all parts listen. Raises ConfigError and StoreUnavailable where a
    part cannot start; where webhooks are configured, they are spooled until the database is there.
    """
    with _storage(settings) as url, _unwrapped():
        if url is not None:
            hand_over_keys(settings, url)
            uvloop.run(_Daemon(settings, config, url).serve(announce))


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Let out what a part said as it said it: a task group wraps whatever leaves it."""
    try:
        yield
    except ExceptionGroup as group:
        raise group.exceptions[0] from group


def work(settings: Settings, url: str, *, until_idle: bool, tell: Tell = ignore) -> None:
    """
    Run workers alone on the database *url*, until SIGTERM or SIGINT.

    With *until_idle*, only until nothing is pending. *tell* is called with what became of each
    batch. Raises StoreUnavailable where the database is away when it starts.
    """
    uvloop.run(_Daemon(settings, None, url).work(until_idle=until_idle, tell=tell))


def tail(settings: Settings, url: str, *, until_idle: bool) -> None:
    """
    Follow the logs alone, until SIGTERM or SIGINT.

    With *until_idle*, only until nothing more is in them.
    """
    uvloop.run(_Daemon(settings, None, url).tail(until_idle=until_idle))


class _Daemon:
    """The parts of one process, and how they end: in order, within GRACE."""

    def __init__(self, settings: Settings, config: Path | None, url: str) -> None:
        self._settings = settings
        self._config = config
        self._url = url
        self._stop = asyncio.Event()
        self._ends_at: float | None = None  # by the monotonic clock; None: not told to stop
        self._wake = asyncio.Event()
        self._logs: list[LogRecorder] = []
        self._following: Following | None = None
        self._workers: list[Worker] = []

    async def serve(self, announce: Callable[[Listening], None]) -> None:
        settings = self._settings
        inbox = Inbox(self._connector("inbox"), self._wake.set)
        receiver = Receiver(settings.receiver, inbox.append, is_ours(settings))
        pipe = Pipe(
            settings.pipe,
            state_directory(settings.state),
            inbox.append,
            settings.receiver.max_size,
        )
        polling = Polling(
            assembly.mailboxes(settings), self._connector("poller"), self._judging(), self._wake.set
        )
        spool = Spool(spool_directory(settings.state), inbox.append)
        webhooks = Webhooks(settings.webhooks, inbox.append, spool)
        lookup = Lookup(settings.lookup, self._connector("lookup"))
        async with (
            self._http(webhooks) as http,
            self._working(inbox) as workers,
            self._tailing(),
            asyncio.TaskGroup() as tasks,
        ):
            writing = tasks.create_task(inbox.run())
            parts = (spool, polling, *self._beside())
            beside = [tasks.create_task(part.run()) for part in parts]
            refusals = webhooks.refusals.run(self._connector("webhooks"))
            beside.append(tasks.create_task(refusals))
            try:
                for part in (receiver, pipe, http, lookup):
                    await part.start()
                take = partial(self._take, workers, polling, http, webhooks)
                beside.append(tasks.create_task(self._reloading(receiver, take).run()))
                announce(Listening(receiver.addresses, http.address, self._url))
                await self._stop.wait()
            finally:
                for task in beside:
                    task.cancel()
                for worker in workers:
                    worker.stop()  # now: they end their batch while mails under way are taken
                grace = self._grace()
                await asyncio.gather(receiver.close(grace), pipe.close(grace), http.close())
                await lookup.close()
                inbox.close()
                await self._end([writing])

    def _beside(self) -> tuple[Upkeep, Telling]:
        """Return what runs in the background, and that no other part speaks to."""
        settings = self._settings
        upkeep = Upkeep(
            self._connector("upkeep"), settings.policy, settings.retention, settings.sent_mail
        )
        return upkeep, Telling(settings.sink, self._connector("outbox"))

    @asynccontextmanager
    async def _http(self, webhooks: Webhooks) -> AsyncIterator[HttpServer]:
        settings = self._settings
        name = "mtabounce api"
        async with open_pool(
            self._url, application_name=name, settings=settings.database
        ) as writing:
            with open_pool_sync(
                self._url, application_name=name, settings=settings.database
            ) as reading:
                callers = Callers(writing.connection)
                listmonk = ListmonkApi(
                    settings.listmonk,
                    callers,
                    writing.connection,
                    webhooks.durable,
                    settings.policy,
                )
                api = late_api(callers, writing.connection, reading, settings.policy)
                routes = [*api.routes(), *listmonk.routes()]
                rest = application(self._troubles, routes, self._ailments)
                yield HttpServer(settings.http, webhooks.before(rest))

    async def work(self, *, until_idle: bool, tell: Tell) -> None:
        if until_idle:
            await self._worker(until_idle=True, tell=tell).run()
            return
        async with self._working(tell=tell):
            await self._stop.wait()

    async def tail(self, *, until_idle: bool) -> None:
        self._stop_on_signals()
        async with self._tailing(until_idle=until_idle) as following:
            stop = asyncio.create_task(self._stop.wait())
            await asyncio.wait([stop, following], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if following.done():
                following.result()

    @asynccontextmanager
    async def _tailing(self, *, until_idle: bool = False) -> AsyncIterator[asyncio.Task[None]]:
        """Follow the logs; when the block is left, let the batch under way be committed."""
        await self._make_days()
        self._following = Following(self._tailers(), self._connector("tail"))
        running = asyncio.create_task(self._following.run(until_idle=until_idle))
        try:
            yield running
        finally:
            self._following.stop()
            await self._end([running])

    async def _make_days(self) -> None:
        """Make the days that the logs tell of sent mail for now; later, upkeep makes them."""
        if self._settings.log and self._settings.sent_mail.days:
            with suppress(TryAgainLater), unavailable():
                async with await self._connector("tail")() as conn:
                    await sent_mail.keep_up(conn, self._settings.sent_mail, datetime.now(UTC))

    def _tailers(self) -> Iterator[Tailer | JournalTailer]:
        if not self._settings.log:
            return
        classifier = assembly.classifier(self._settings)
        for settings in self._settings.log:
            recorder = LogRecorder(
                classifier,
                assembly.recorder(self._settings),
                str(settings.path),
                settings.own_host,
                keeps_sent=self._settings.sent_mail.days > 0,
            )
            self._logs.append(recorder)
            kind = JournalTailer if settings.is_journal else Tailer
            yield kind(settings, self._connector("tail"), recorder)

    @asynccontextmanager
    async def _working(
        self, inbox: Inbox | None = None, tell: Tell = ignore
    ) -> AsyncIterator[list[Worker]]:
        """Run the workers; when the block is left, let them end the batch under way."""
        self._stop_on_signals()
        count = self._settings.worker.processes or os.cpu_count() or 1
        is_busy = inbox.is_busy if inbox else bool
        workers = [self._worker(is_busy=is_busy, tell=tell) for _ in range(count)]
        self._workers = workers
        running = [asyncio.create_task(one.run()) for one in workers]
        try:
            yield workers
        finally:
            for one in workers:
                one.stop()
            await self._end(running)  # or cancel: their inputs go back with the transaction

    def _worker(
        self,
        *,
        until_idle: bool = False,
        is_busy: Callable[[], bool] = bool,
        tell: Tell = ignore,
    ) -> Worker:
        return Worker(
            self._connector("worker"),
            self._judging(),
            assembly.recorder(self._settings),
            self._wake,
            ring=self._settings.return_path.ring(),
            batch=self._settings.worker.batch,
            raw=self._settings.retention.raw,
            until_idle=until_idle,
            is_busy=is_busy,
            tell=tell,
        )

    def _judging(self) -> Judging:
        return Judging.of(assembly.judging(self._settings), self._settings.worker)

    def _connector(self, part: str) -> Connect:
        settings = self._settings.database.model_copy(
            update={"idle_in_transaction_timeout": IDLE_IN_TRANSACTION}
        )
        return partial(connect, self._url, application_name=f"mtabounce {part}", settings=settings)

    def _stop_on_signals(self) -> None:
        self._on(signal.SIGTERM, self._begin_to_stop)
        self._on(signal.SIGINT, self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        self._ends_at = self._ends_at or time.monotonic() + GRACE
        self._stop.set()

    def _grace(self) -> float:
        """Return how many seconds are left for work under way."""
        left = self._ends_at - time.monotonic() if self._ends_at else GRACE
        return max(left, LEAST_GRACE)

    async def _end(self, running: _Running) -> None:
        """Wait for *running*, which were told to stop, as long as there is time; then cancel."""
        if running:
            _, late = await asyncio.wait(running, timeout=self._grace())
            for task in late:
                task.cancel()

    def _on(self, number: signal.Signals, action: Callable[[], None]) -> None:
        asyncio.get_running_loop().add_signal_handler(number, action)

    async def _troubles(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(3), await self._connector("ready")() as conn:
                with unavailable():
                    await conn.execute(PROBE)
        except StoreUnavailable as error:
            return {"database": str(error)}
        except TimeoutError:
            return {"database": "no answer within 3 s"}
        return {}

    def _ailments(self) -> dict[str, str]:
        logs = self._following.troubles() if self._following else {}
        found = {f"log {name}": said for name, said in logs.items()}
        if said := next((one.trouble for one in self._workers if one.trouble), ""):
            found["workers"] = said
        return found

    def _reloading(self, receiver: Receiver, take: Callable[[Fresh], None]) -> Reloading:
        reloading = Reloading(self._settings, self._config, self._url, receiver, take)
        self._on(signal.SIGHUP, reloading.begin)
        return reloading

    def _take(
        self,
        workers: Iterable[Worker],
        polling: Polling,
        http: HttpServer,
        webhooks: Webhooks,
        fresh: Fresh,
    ) -> None:
        http.reload()
        webhooks.reload(fresh.settings.webhooks)
        for worker in workers:
            worker.reload(fresh.judging, fresh.settings.return_path.ring())
        polling.reload(fresh.judging)
        for recorder in self._logs:
            recorder.classifier = fresh.classifier
