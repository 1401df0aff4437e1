"""Events for sinks, and the sinks that are told of them."""

from functools import partial

from psycopg.rows import dict_row

from mtabounce.pipeline.operators import Word, say
from mtabounce.policy import PolicySettings
from mtabounce.sinks import SinkSettings
from mtabounce.sinks._telling import Telling
from mtabounce.store.connection import connect


async def telling(conn, **settings):
    sink = SinkSettings.model_validate(settings)
    told = Telling([sink], partial(connect, "", application_name=""))
    await told.register(conn)
    return partial(told.tell_once, conn, sink.title)


async def speak(conn, action, *recipients, why=""):
    words = [Word(recipient=one, action=action, why=why) for one in recipients]
    async with conn.transaction():
        await say(conn, PolicySettings(), words, "olga")


async def rows(conn):
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM outbox ORDER BY id")
        return await cursor.fetchall()
