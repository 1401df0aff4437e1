"""What is wrong with a log is said in the program's own log, in doctor and in the metrics."""

import asyncio
from functools import partial

import psycopg
import pytest
from prometheus_client import REGISTRY

from mtabounce import classify
from mtabounce.doctor import Level, examine
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.policy import PolicySettings
from mtabounce.sources import tailer
from mtabounce.sources.following import Following
from mtabounce.sources.log_settings import LogSettings
from mtabounce.sources.tailer import Tailer
from mtabounce.store.connection import connect

from .lines import bounced
from .waiting import async_until as until

STRANGE = "Nov 23 03:12:17 www nginx: GET /\n"


@pytest.fixture
def following(path, database_url):
    def _following():
        connecting = partial(connect, database_url, application_name="mtabounce test")
        settings = LogSettings(path=path, host="mail", timezone="UTC")
        recorder = LogRecorder(classify.load(), Recorder(PolicySettings()), str(path), "mail")
        readers = [Tailer(settings, connecting, recorder)]
        return Following(readers, connecting, first=0.1, look=0.1)

    return _following


@pytest.fixture
def doctor(path, tmp_path, database_url):
    config = tmp_path / "mtabounce.toml"
    config.write_text(
        f'[database]\nurl = "{database_url}"\n[[log]]\npath = "{path}"\nhost = "mail"\n'
    )

    def _doctor():
        return [(one.level, one.text) for one in examine(config, None, ["logs"])]

    return _doctor


def metric(name, path):
    return REGISTRY.get_sample_value(name, {"log": str(path)})


def unreadable(number):
    return bounced(number).replace("delays=0/0/0/1", "delays?").replace("delay=1", "delay:1")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (STRANGE * 2000, "of its last 2000 lines not one was understood"),
        ("".join(map(unreadable, range(30))), "of its last 30 deliveries not one could be read"),
    ],
    ids=["no lines", "no deliveries"],
)
async def test_log_that_was_understood_and_is_not_any_more(
    following, path, doctor, caplog, what, said
):
    with path.open("a") as file:
        file.write("".join(map(bounced, range(100, 400))))
    await following().run(until_idle=True)
    before = await asyncio.to_thread(doctor)
    with path.open("a") as file:
        file.write(what)
    reader = following()
    await reader.run(until_idle=True)
    broken = await asyncio.to_thread(doctor), metric("mtabounce_log_not_understood", path)
    with path.open("a") as file:
        file.write(bounced(500))
    await reader.run(until_idle=True)
    after = metric("mtabounce_log_not_understood", path)

    assert [level for level, _ in before] == [Level.OK]
    assert broken[1] == 1
    assert [level for level, text in broken[0] if said in text] == [Level.FAIL]
    assert f"{path}: {said}" in caplog.text
    assert after == 0
    assert f"{path}: it is understood again" in caplog.text


async def test_log_that_stands_still_is_told_of_until_it_is_read_again(
    following, path, query, database_url, monkeypatch, caplog
):
    monkeypatch.setattr(tailer, "STILL", 1.0)
    path.write_text(bounced(1))
    one = following()
    task = asyncio.create_task(one.run())
    await until(lambda: query("SELECT 1 FROM mtabounce.observations"))
    with psycopg.connect(database_url) as conn:
        conn.execute("LOCK TABLE mtabounce.log_files IN ACCESS EXCLUSIVE MODE")
        with path.open("a") as file:
            file.write(bounced(2))
        await until(one.troubles)
        told = one.troubles(), metric("mtabounce_log_standing_still", path_name(one))
    await until(lambda: len(query("SELECT 1 FROM mtabounce.observations")) == 2)
    await until(lambda: not one.troubles())
    one.stop()
    await asyncio.wait_for(task, 20)

    (said,) = told[0].values()
    assert "it grows, and nothing was read for" in said
    assert told[1] == 1
    assert "it stands still" in caplog.text
    assert "it is read again" in caplog.text
    assert metric("mtabounce_log_standing_still", path_name(one)) == 0


def path_name(following):
    return following._readers[0].name


async def test_line_that_is_never_read_is_an_error_in_doctor_whenever_it_was_written(
    following, path, query, doctor
):
    path.write_text(bounced(1))
    await following().run(until_idle=True)
    query("UPDATE mtabounce.log_files SET updated_at = now() - interval '1 hour' RETURNING id")
    with path.open("a") as file:
        file.write("half a line")
    partly = await asyncio.to_thread(doctor)
    with path.open("a") as file:
        file.write(" and the rest\n")
    whole = await asyncio.to_thread(doctor)

    assert [level for level, _ in partly] == [Level.OK]
    assert [level for level, _ in whole] == [Level.OK, Level.FAIL]


async def test_row_that_the_database_refuses_stops_no_other(
    following, path, query, database_url, caplog
):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.final_recipient = 'u5@x.example' THEN"
            " RAISE EXCEPTION 'not this one' USING ERRCODE = '22000'; END IF; RETURN NEW; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON mtabounce.observations"
            " FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    path.write_text("".join(map(bounced, range(10))))
    one = following()
    task = asyncio.create_task(one.run())
    await until(lambda: len(query("SELECT 1 FROM mtabounce.observations")) == 9)
    with path.open("a") as file:
        file.write(bounced(10))
    await until(lambda: len(query("SELECT 1 FROM mtabounce.observations")) == 10)
    one.stop()
    await asyncio.wait_for(task, 20)

    assert query("SELECT lines, unreadable FROM mtabounce.log_files") == [(11, 1)]
    assert query("SELECT sum(bounced)::int FROM mtabounce.delivery_stats") == [(10,)]
    assert f"left out, please report it: {bounced(5).encode()!r}" in caplog.text


async def test_names_that_are_too_long_for_a_key_are_no_trouble(following, path, query):
    name = "".join(f"{number:05}" for number in range(1200))  # no compression helps
    long = bounced(1).replace("x.example", f"{name}.example")
    waiting = bounced(2).replace("u2", name).replace("status=bounced", "status=deferred")
    path.write_text(long + waiting + bounced(3))
    await following().run(until_idle=True)

    assert ("u3@x.example",) in query("SELECT final_recipient FROM mtabounce.observations")
    assert query("SELECT count(*) FROM mtabounce.pending_deliveries") == [(0,)]


async def test_carriage_return_in_a_line_begins_no_other_when_we_are_careful(
    following, path, query
):
    one = following()
    one._readers[0]._run.be_careful()
    path.write_text(f"Nov 23 03:12:17 mail dovecot: x\r{bounced(1)}{bounced(2)}")
    await one.run(until_idle=True)

    assert query("SELECT final_recipient FROM mtabounce.observations") == [("u2@x.example",)]
