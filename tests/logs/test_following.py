"""A mistake of ours ends no reader for good, and no line of a log stops the others."""

import asyncio
import json
import time
from functools import partial
from itertools import pairwise

import pytest

from mtabounce import classify
from mtabounce.doctor import Level, examine
from mtabounce.logs._join import Join
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.policy import PolicySettings
from mtabounce.sources.following import Following
from mtabounce.sources.log_settings import LogSettings
from mtabounce.sources.tailer import Tailer
from mtabounce.store.connection import connect
from mtabounce.web.app import application

from .lines import bounced
from .waiting import async_until as until

POISON = "poison@x.example"


@pytest.fixture
def following(path, database_url):
    connecting = partial(connect, database_url, application_name="mtabounce test")
    settings = LogSettings(path=path, host="mail", timezone="UTC")

    def _following(classifier=None):
        classifier = classifier or classify.load()
        recorder = LogRecorder(classifier, Recorder(PolicySettings()), str(path), "mail")
        return Following([Tailer(settings, connecting, recorder)], connecting, first=0.2)

    return _following


@pytest.fixture
def mistake(monkeypatch):
    """Let the join have a bug: it cannot take one address."""
    attempts = []
    right = Join._closely

    def _closely(self, key, message, stamp, rest, repeated):
        if POISON.encode() in rest:
            attempts.append(rest)
            raise ZeroDivisionError("a bug")
        right(self, key, message, stamp, rest, repeated)

    monkeypatch.setattr(Join, "_closely", _closely)
    return attempts


async def test_line_that_we_cannot_take_stops_no_other(
    following, path, query, mistake, caplog, tmp_path, database_url
):
    path.write_text(bounced(1) + bounced(2))
    one = following()
    task = asyncio.create_task(one.run())
    await until(lambda: query("SELECT count(*) FROM mtabounce.observations") == [(2,)])
    with path.open("a") as file:
        file.write(bounced(3) + bounced(4, to=POISON) + bounced(5))
    await until(lambda: query("SELECT count(*) FROM mtabounce.observations") == [(4,)])
    shown = one.troubles()
    one.stop()
    await asyncio.wait_for(task, 5)

    assert len(mistake) == 2
    assert list(shown.values()) == ["ZeroDivisionError: a bug"]
    assert "begins anew" in caplog.text
    assert f"left out, please report it: {bounced(4, to=POISON).encode()!r}" in caplog.text
    files = "SELECT lines, unreadable, trouble FROM mtabounce.log_files"
    assert query(files) == [(5, 1, "")]

    query("UPDATE mtabounce.log_files SET state = '', state_position = 0 RETURNING id")
    await following().run(until_idle=True)  # reads it all again, for what is under way
    assert len(mistake) > 2
    assert query(files) == [(5, 1, "")]


async def test_reader_that_ends_again_and_again_is_begun_later_each_time(
    following, path, query, monkeypatch, tmp_path, database_url
):
    begun = []
    path.write_text(bounced(1))
    await following().run(until_idle=True)

    async def _find(self, conn):
        begun.append(time.monotonic())
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Tailer, "_find", _find)
    one = following()
    task = asyncio.create_task(one.run())
    await until(lambda: len(begun) == 4)
    config = tmp_path / "mtabounce.toml"
    config.write_text(
        f'[database]\nurl = "{database_url}"\n[[log]]\npath = "{path}"\nhost = "mail"\n'
    )
    found = await asyncio.to_thread(examine, config, None, ["logs"])
    one.stop()
    await asyncio.wait_for(task, 5)

    first, second, third = (b - a for a, b in pairwise(begun))
    assert first < second < third
    assert (Level.FAIL, f"{path}: reading it ended: ZeroDivisionError: a bug") in [
        (each.level, each.text) for each in found
    ]


async def test_reader_that_ends_makes_a_single_run_fail(following, path, mistake):
    path.write_text(bounced(1, to=POISON))

    with pytest.raises(ZeroDivisionError):
        await following().run(until_idle=True)


async def test_failure_that_we_cannot_judge_is_a_failure(following, path, query):
    class Mistaken:
        def classify(self, report):
            raise ZeroDivisionError("a bug")

    path.write_text(bounced(1))
    await following(Mistaken()).run(until_idle=True)

    assert query("SELECT type, reason FROM mtabounce.bounces") == [("soft", "undetermined")]


async def test_readyz_names_what_is_not_well_and_stays_ready():
    async def _none():
        return {}

    said = []

    async def _send(message):
        said.append(message)

    app = application(_none, ailments=lambda: {"log mail.log": "a bug"})
    scope = {"type": "http", "method": "GET", "path": "/readyz", "headers": [], "query_string": b""}
    await app(scope, _receive, _send)

    assert said[0]["status"] == 200
    assert json.loads(said[1]["body"])["ailments"] == {"log mail.log": "a bug"}


async def _receive():
    return {"type": "http.request"}
