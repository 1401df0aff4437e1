"""Logs of several hosts, and old ones, are read in any order, and make the same of it."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from zlib import crc32

import pytest
from psycopg.rows import dict_row

from mtabounce.classify import load
from mtabounce.logs import LogReader
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.policy import PolicySettings
from mtabounce.store.connection import connect

NOW = datetime.now(UTC).replace(microsecond=0)
FULL = "bounced", "552 5.2.2 mailbox full"
UNKNOWN = "bounced", "550 5.1.1 no such user"
SENT = "sent", "250 2.0.0 ok"
HISTORIES = {  # preset, what happened when (days ago), and the causes of what suppresses in the end
    "soft, then delivered": ("standard", [(10, FULL), (6, FULL), (2, FULL), (1, SENT)], []),
    "delivered between": ("standard", [(10, FULL), (8, SENT), (6, FULL), (2, FULL)], []),
    "delivered before": (
        "standard",
        [(12, SENT), (10, FULL), (6, FULL), (2, FULL)],
        ["soft"],
    ),
    "delivered twice": (
        "standard",
        [(20, FULL), (15, SENT), (12, FULL), (11, SENT), (2, FULL)],
        [],
    ),
    "held, delivered, held, delivered": (
        "careful",
        [(20, UNKNOWN), (18, SENT), (15, UNKNOWN), (1, SENT)],
        [],
    ),
    "delivered, held, confirmed": (
        "careful",
        [(20, SENT), (10, UNKNOWN), (5, UNKNOWN)],
        ["hard"],
    ),
}


def lines(name, days_ago, state, said):
    at = NOW - timedelta(days=days_ago)
    queue_id = f"{crc32(f'{name} {days_ago}'.encode()):X}"
    head = f"{at.isoformat(timespec='seconds')} mail postfix"
    return (
        f"{head}/cleanup[1]: {queue_id}: message-id=<{queue_id}@news.test>\n"
        f"{head}/qmgr[1]: {queue_id}: from=<news@news.test>, size=9, nrcpt=1 (queue active)\n"
        f"{head}/smtp[9]: {queue_id}: to=<{name}>, relay=mx.x.example[192.0.2.1]:25, delay=1,"
        f" delays=0/0/0/1, dsn={said.split()[1]}, status={state} (host mx said: {said})\n"
    )


@pytest.mark.parametrize(("preset", "history", "causes"), HISTORIES.values(), ids=HISTORIES)
async def test_order_in_which_logs_are_read_changes_nothing(database_url, preset, history, causes):
    orders = list(permutations(history))
    names = [f"p{number}@example.org" for number in range(len(orders))]
    policy = PolicySettings(preset=preset, breaker={"enabled": False})
    recorder = LogRecorder(load(), Recorder(policy), "mail.log", "mail")

    async with await connect(database_url, application_name="mtabounce test") as conn:
        await conn.execute(  # of whom nothing was ever known, no delivery is kept
            "INSERT INTO recipients (recipient, domain)"
            " SELECT name, 'example.org' FROM unnest(%s::text[]) AS name",
            [names],
        )
        for step in range(len(history)):  # one of each order at a time
            text = "".join(
                lines(name, days_ago, *what)
                for name, order in zip(names, orders, strict=True)
                for days_ago, what in [order[step]]
            )
            joined = LogReader(latest=NOW, zone=UTC).read(text.encode())
            await recorder.commit(conn, joined, [])
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute("SELECT recipient, cause, since, until FROM suppressions")
            found = await cursor.fetchall()

    standing = {name: [] for name in names}
    for row in found:
        standing[row.pop("recipient")].append(row)
    assert [one["cause"] for one in standing[names[0]]] == causes
    assert all(one == standing[names[0]] for one in standing.values())
