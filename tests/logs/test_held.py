"""Many rotated files that wait for the database: all are held, and each costs the same."""

import asyncio
import gzip

import psycopg
from click.testing import CliRunner

from mtabounce import classify
from mtabounce.cli import mtabounce
from mtabounce.errors import StoreUnavailable
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.policy import PolicySettings
from mtabounce.sources import _holding, tailer
from mtabounce.sources.log_settings import LogSettings
from mtabounce.store.connection import connect

from .lines import bounced
from .waiting import async_until as until

MANY = 400  # as many as an hourly rotation makes in two weeks


def test_many_files_are_held_though_their_names_are_gone(path):
    waiting = _holding.Waiting()
    for number in range(MANY):
        path.write_text(bounced(number))
        waiting.hold(path, known=())
        path.unlink()
    found = waiting.take(known=())
    assert [one.file.read().decode() for one in found] == [bounced(n) for n in range(MANY)]
    for one in found:
        one.file.close()


def test_where_no_more_may_be_open_it_says_so_once(path, monkeypatch, caplog):
    monkeypatch.setattr(_holding, "_may_open", lambda: 2)
    waiting = _holding.Waiting()
    for _ in range(3):
        path.write_text(bounced(1))
        waiting.hold(path, known=())
        path.unlink()
    assert not waiting.take(known=())
    (said,) = [one.getMessage() for one in caplog.records]
    assert "no more may be open" in said


class Away:
    """A way to the database that may be cut."""

    def __init__(self, url):
        self.url = url
        self.is_cut = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def connect(self):
        await self.answers.wait()
        if self.is_cut:
            raise StoreUnavailable("cut")
        return await connect(self.url, application_name="mtabounce held")

    def cut(self):
        self.is_cut = True
        self.end_connections()

    def end_connections(self):
        with psycopg.connect(self.url) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'mtabounce held' AND datname = current_database()"
            )


async def rows(query, table, count):
    await until(lambda: query(f"SELECT count(*) FROM mtabounce.{table}") == [(count,)])  # noqa: S608 (ours)


def tailer_of(path, away):
    settings = LogSettings(path=path, host="mail", timezone="UTC")
    recorder = LogRecorder(classify.load(), Recorder(PolicySettings()), "mail.log", "mail")
    return tailer.Tailer(settings, away.connect, recorder, linger=0.5)


async def test_files_that_come_while_the_database_does_not_answer_are_held(
    path, query, database_url
):
    away = Away(database_url)
    one = tailer_of(path, away)
    path.write_text(bounced(0))
    task = asyncio.create_task(one.run())
    await rows(query, "observations", 1)
    away.answers.clear()
    away.end_connections()
    for number in range(1, 6):
        path.unlink()
        path.write_text(bounced(number))
        await asyncio.sleep(1.5 if number == 1 else 0.5)  # it notices, and waits for an answer
    away.answers.set()
    await rows(query, "observations", 6)
    one.stop()
    await task


async def test_what_is_compressed_or_imported_while_it_waits_counts_once(
    path, query, database_url, config
):
    away = Away(database_url)
    one = tailer_of(path, away)
    path.write_text(bounced(0))
    task = asyncio.create_task(one.run())
    await rows(query, "observations", 1)
    away.cut()
    for number in range(1, 4):
        path.rename(f"{path}.{number}")
        path.write_text(bounced(number))
        await until(lambda held=number: len(one._files._waiting._files) == held)
    compressed, imported = path.with_name("mail.log.2"), path.with_name("mail.log.3")
    with gzip.open(f"{compressed}.gz", "wb") as file:
        file.write(compressed.read_bytes())
    compressed.unlink()
    done = await asyncio.to_thread(
        CliRunner().invoke, mtabounce, ["--config", str(config), "import", "logs", str(imported)]
    )

    away.is_cut = False

    await rows(query, "log_files WHERE position > 0", 4)
    one.stop()
    await task
    assert done.exit_code == 0, done.output
    assert query("SELECT sum(bounced) FROM mtabounce.delivery_stats") == [(4,)]


async def test_each_file_that_waited_costs_the_same(path, query, database_url, monkeypatch):
    moves = 0
    move = tailer.store.move

    async def _move(*args):
        nonlocal moves
        moves += 1
        return await move(*args)

    monkeypatch.setattr(tailer.store, "move", _move)
    away = Away(database_url)
    one = tailer_of(path, away)
    path.write_text(bounced(0))
    task = asyncio.create_task(one.run())
    costs, count = [], 1
    for many in (10, 40):
        await rows(query, "observations", count)
        away.cut()
        for held in range(1, many + 1):
            path.unlink()
            path.write_text(bounced(count))
            count += 1
            await until(lambda held=held: len(one._files._waiting._files) == held)
        moves, away.is_cut = 0, False
        await rows(query, "log_files WHERE finished", count - 1)
        costs.append(moves)
    one.stop()
    await task
    await rows(query, "observations", count)
    assert costs[1] < 6 * costs[0], costs
