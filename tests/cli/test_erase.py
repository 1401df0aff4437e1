"""erase: the address is nowhere any more, and suppressed; export-person shows what there is."""

import asyncio
import base64
import json
import subprocess
import zipfile
import zlib
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest

from mtabounce.errors import UsageError
from mtabounce.logs import Delivery, Joined, State
from mtabounce.model import RawInput
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.judge_process import JudgeSettings
from mtabounce.pipeline.log_record import LogRecorder
from mtabounce.pipeline.sent_mail import keep_up
from mtabounce.pipeline.settings import SentMailSettings
from mtabounce.pipeline.traces import Traces
from mtabounce.policy import PolicySettings
from mtabounce.store import inputs
from mtabounce.store.cluster import installed_programs
from mtabounce.store.connection import connect
from tests.working import worked

from .conftest import MAILS, dsn

ANN = "ann@example.org"
CLAIMS = PolicySettings.model_validate({"min_trust": "claimed"})


async def read(url, *contents, source="receiver", waits=False):
    """Put *contents* into the inbox, and let a worker read them, unless each *waits*."""
    connecting = partial(connect, url, application_name="test")
    async with await connecting() as conn:
        now = datetime.now(UTC)
        raws = [
            RawInput(
                source=source,
                content=one,
                received_at=now,
                reverse_path=ANN,
                forward_paths=("list+ann=example.org@bounces.example.net",),
            )
            for one in contents
        ]
        await inputs.append(conn, raws)
    if waits:
        return
    await worked(connecting, CLAIMS)


async def defer(url):
    """Write down that ann waits, and that she got a mail, as a log of Postfix says."""
    one = Delivery(
        host="mx", instance="postfix", queue_id="1A", final_recipient="Ann@Example.org",
        state=State.DEFERRED, occurred_at=datetime.now(UTC),
    )  # fmt: skip
    joined = Joined(clock=lambda _: datetime.now(UTC))
    joined.waiting[one.waits_as] = one
    joined.sent[b"m@x", b"Ann@Example.org"] = b""
    recorder = LogRecorder(JudgeSettings().judge().classifier, Recorder(CLAIMS), "log", "mx")
    async with await connect(url, application_name="test") as conn:
        await keep_up(conn, SentMailSettings(days=7), datetime.now(UTC))
        await recorder.commit(conn, joined, [])


def dumped(url):
    """Everything in the database, also what bytea holds, as text in lower case."""
    dump = [installed_programs() / "pg_dump", "--data-only", url]
    text = subprocess.run(dump, capture_output=True, check=True).stdout.decode(errors="replace")
    lines = [line for line in text.splitlines() if "restrict " not in line]  # differs each time
    return "\n".join(lines).lower()


def traces_in(text):
    """Return the forms of the address that stand in what was dumped, in lower case."""
    written = [ANN, "ann=example.org", "ann=40example.org", "ann%40example.org"]
    written.append("ann\\u0040example.org")
    forms = [*written, *(one.encode().hex() for one in written)]
    for shift in range(3):  # whatever stands before it
        coded = base64.b64encode(b"x" * shift + ANN.encode())[4:-4]
        forms += [coded.decode().lower(), coded.hex()]
    return [form for form in forms if form in text]


def log_states(url):
    with psycopg.connect(url) as conn:
        rows = conn.execute("SELECT state FROM log_files WHERE state <> ''").fetchall()
    return b"".join(zlib.decompress(state) for (state,) in rows).decode().lower()


BASE64 = b"""\
From: MAILER-DAEMON@mx.example.org
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status
Content-Transfer-Encoding: base64

""" + base64.encodebytes(
    b"Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; Ann@Example.org\n"
    b"Action: failed\nStatus: 5.1.1\n\n"
)  # fmt: skip


@pytest.fixture
def told(cli, database_url, tmp_path):
    """A database in which ann is in every table that can hold her; runs commands on it."""
    forwarded = dsn(MAILS[1]).replace(b"552 5.2.2", b"552 5.2.2 <ann@example.org>")
    lunch = b"Subject: lunch\n\nWrite to ann=40example.org or Ann@example.org?\n"
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("INSERT INTO sinks VALUES ('crm', '{suppressed,bounce}')")
        asyncio.run(read(database_url, BASE64, forwarded, lunch))
        asyncio.run(defer(database_url))
        conn.execute("SELECT return_path_id(%s, 'spring')", [ANN])
        conn.execute(
            "INSERT INTO webhook_refusals"
            " (webhook, refused_at, status, why, peer, headers, body, size) VALUES"
            " ('ses', now(), 401, 'no', '::1', '{}', %s, 9)",
            [b'{"to":"ann\\u0040example.org"}'],
        )
        conn.execute(
            "INSERT INTO log_files (name, path, reader, device, inode, head, head_length, position,"
            " before, state) VALUES ('l', '/l', 'tail', 1, 2, '', 0, 0, %s, %s)",
            [
                b"1A: to=<Ann@Example.org>, ok\n",
                zlib.compress(b"+mx\0001A\0<b+Ann=example.org@bounces.example.org\0m@x"),
            ],
        )
        conn.execute(
            "INSERT INTO incidents (kind, operator, reason, began_at, last_at)"
            " VALUES ('jump', 'o', 'r', now(), now())"
        )
        conn.execute(
            "INSERT INTO incident_bounces (bounce_id, incident_id, recipient_id, recipient)"
            " SELECT b.id, i.id, b.recipient_id, b.recipient FROM bounces AS b, incidents AS i"
            " WHERE b.recipient = %s AND i.operator = 'o' LIMIT 1",
            [ANN],
        )
    spool = tmp_path / "state" / "spool"
    spool.mkdir(parents=True)
    (spool / "1.damaged").write_bytes(b"{}\nto ann@example.org")
    with (tmp_path / "mtabounce.toml").open("a") as config:
        config.write(
            f'[state]\ndirectory = "{tmp_path / "state"}"\n[policy]\nmin_trust = "claimed"\n'
        )
    return cli


def answers(url, address=ANN):
    with psycopg.connect(url) as conn:
        (alone,) = conn.execute("SELECT mtabounce.is_suppressed(%s)", [address]).fetchone()
        many = conn.execute(
            "SELECT cause FROM mtabounce.check_recipients(%s)", [["x@example.org", address]]
        ).fetchall()
        refused = conn.execute("SELECT mtabounce.refusal(%s)", [address]).fetchall()
        viewed = conn.execute(
            "SELECT FROM mtabounce.active_suppressions WHERE recipient = mtabounce.known_as(%s)",
            [address],
        ).fetchall()
        return alone, [cause for (cause,) in many], len(refused), len(viewed)


def test_erased_address_is_nowhere_and_stays_suppressed(told, database_url, tmp_path):
    assert answers(database_url) == (True, ["hard"], 1, 1)
    assert len(traces_in(dumped(database_url))) > 2

    result = told("erase", "Ann@Example.org", "--yes")

    assert result.exception is None
    assert "bounces" in result.output
    assert "Out of reach" in result.output
    assert ANN not in result.output.lower()
    assert traces_in(dumped(database_url)) == []
    assert "erased@bounces.example.org" in log_states(database_url)
    assert not list((tmp_path / "state" / "spool").iterdir())
    assert answers(database_url, " ANN@example.org") == (True, ["hard"], 1, 1)
    assert told("suppressions", "check", ANN).exit_code == 1
    assert "552 5.2.2 <erased>" in told("why", "bob@example.net").output


def test_same_bounce_again_brings_nothing_back(told, database_url):
    told("erase", ANN, "--yes")

    asyncio.run(read(database_url, BASE64, dsn(MAILS[0])))
    asyncio.run(defer(database_url))

    assert traces_in(dumped(database_url)) == []
    assert answers(database_url) == (True, ["hard"], 1, 1)


def test_what_waits_for_a_worker_tells_of_others_and_is_emptied_then(told, database_url):
    lunch = b"Subject: x\n\nWrite to ann=40example.org or YW5uQGV4YW1wbGUub3Jn!\n"
    of_eve = dsn(("eve", "example.org", "5.1.1", "550 no", "z"))
    mails = [dsn(MAILS[0]), b"X-Copied: Ann@example.org\n" + of_eve, lunch]
    asyncio.run(read(database_url, *mails, waits=True))

    told("erase", ANN, "--yes")
    asyncio.run(read(database_url))

    assert traces_in(dumped(database_url)) == []
    assert answers(database_url, "eve@example.org")[0]


def test_return_path_of_who_was_erased_does_not_write_it_down(told, database_url):
    told("erase", ANN, "--yes")
    with psycopg.connect(database_url) as conn:
        conn.execute("SELECT return_path_id('Ann@Example.org', 'summer')")

    assert traces_in(dumped(database_url)) == []


@pytest.mark.parametrize("address", ["zoë@bücher.example", '"bob"@x.example'])
def test_unusual_addresses_go_whole(cli, database_url, address):
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SELECT return_path_id(%s, 'summer')", [address])
        conn.execute("INSERT INTO return_paths (recipient) VALUES (%s)", [f"x{address}"])
    cli("suppressions", "add", address)

    assert cli("erase", address, "--yes").exception is None

    text = dumped(database_url).replace(f"x{address}", "")
    assert address not in text
    assert "xn--bcher-kva" not in text
    assert answers(database_url, address)[0]


def test_address_cut_at_the_edge_of_what_is_kept_of_a_log_goes(cli, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO log_files (name, path, reader, device, inode, head, head_length, position,"
            " before) VALUES ('l', '/l', 'tail', 1, 2, '', 0, 0, 'nn@example.org>, ok'),"
            " ('m', '/m', 'tail', 1, 2, '', 0, 0, 'joann@example.org>, ok')"
        )

    cli("erase", ANN, "--yes")

    with psycopg.connect(database_url) as conn:
        kept = conn.execute("SELECT before FROM log_files ORDER BY name").fetchall()
    assert kept == [(b"",), (b"joann@example.org>, ok",)]


def test_suppression_that_was_over_does_not_come_back_as_what_it_was(cli, database_url):
    cli("suppressions", "add", ANN)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "UPDATE suppressions SET type = 'complaint', cause = 'complaint', until = '2020-01-01'"
        )
    cli("erase", ANN, "--yes")

    assert answers(database_url) == (True, ["manual"], 1, 1)


def test_name_of_which_nothing_is_held_is_refused(cli):
    assert isinstance(cli("erase", "notanaddress", "--yes").exception, UsageError)


def test_address_that_was_not_suppressed_is_so_because_it_was_erased(cli, database_url):
    assert not answers(database_url)[0]
    cli("erase", ANN, "--yes")

    assert answers(database_url) == (True, ["manual"], 1, 1)


def test_forget_keeps_no_hash(told, database_url):
    told("erase", ANN, "--yes")
    told("erase", ANN, "--yes", "--forget")

    assert answers(database_url) == (False, [], 0, 0)
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT FROM mtabounce.erased").fetchall() == []
    asyncio.run(read(database_url, BASE64))
    assert answers(database_url)[0]


def test_removing_the_suppression_lets_it_live_again(told, database_url):
    told("erase", ANN, "--yes")
    assert told("suppressions", "remove", ANN).stdout == "1 removed.\n"

    assert answers(database_url) == (False, [], 0, 0)
    asyncio.run(read(database_url, BASE64))
    assert answers(database_url)[0]


def test_import_of_an_erased_address_does_not_bring_it_back(told, database_url):
    told("erase", ANN, "--yes")
    told("suppressions", "add", ANN)

    assert traces_in(dumped(database_url)) == []


def test_nothing_is_erased_unless_somebody_agrees(told, database_url):
    before = dumped(database_url)

    assert told("erase", ANN).exception
    assert dumped(database_url) == before


def test_erasure_is_told_as_json(told):
    said = json.loads(told("erase", ANN, "--yes", "--json").output)

    assert said["rows"]["recipients"] == 1
    assert said["redacted"]["log_files"] == 2
    assert said["files"] == ["1.damaged"]


def test_erasure_of_whom_nothing_is_known_says_so(cli):
    said = cli("erase", "anne@example.org", "--yes").output

    assert said.startswith("No table holds anything about anne@example.org")


def test_export_that_cannot_be_written_is_refused_in_one_line(cli, tmp_path):
    refused = cli("export-person", ANN, "--raw", str(tmp_path / "none" / "ann.zip")).exception

    assert str(refused) == f"cannot write {tmp_path}/none/ann.zip: No such file or directory"


def test_neighbours_stay_as_they_are(told, database_url):
    others = [("joann", "example.org"), ("ann", "example.org.uk")]
    asyncio.run(read(database_url, *[dsn((*one, "5.1.1", "550 no", "x")) for one in others]))

    told("erase", ANN, "--yes")

    for name, domain in others:
        assert answers(database_url, f"{name}@{domain}")[0]


def test_reader_sees_no_key(told, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute("SET ROLE mtabounce_read")
        assert conn.execute("SELECT mtabounce.is_suppressed(%s)", [ANN]).fetchone() == (True,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT inner_pad FROM mtabounce.erasure_key")


def test_export_holds_everything_and_says_who_was_told(told, database_url, tmp_path):
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE outbox SET state = 'sent'")
    archive = tmp_path / "ann.zip"

    held = json.loads(told("export-person", ANN, "--raw", str(archive)).output)

    assert held["address"] == ANN
    assert held["told"] == ["crm"]
    assert {
        "recipients", "bounces", "observations", "suppressions", "decisions", "outbox",
        "pending_deliveries", "return_paths", "incident_bounces", "inputs", "sent_mail",
    } <= held.keys()  # fmt: skip
    assert archive.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(archive) as packed:
        mails = [packed.read(name) for name in packed.namelist() if name.startswith("inputs/")]
    assert BASE64 in mails
    assert len(mails) == len(held["inputs"]) == 4


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"to=<Ann@Example.org>,", True),
        (b"list+ann=example.org@bounces.example.net", True),
        (b"rcpt=ann%40example.org&x", True),
        (b'"ann\\u0040example.org"', True),
        (b"ann=40example.o=\nrg", True),
        (base64.b64encode(b"Hello ann@example.org!"), True),
        (b"joann@example.org ann@example.org.uk ann@example.orgs", False),
        (b"ann@xexample.org ann.example.org", False),
    ],
)
def test_only_this_address_is_found_however_mails_encode_it(content, named):
    assert Traces(ANN).are_in(content) == named


def test_suppression_that_is_over_is_not_kept_for_good(cli, database_url):
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO mtabounce.suppressions (recipient, type, reason, cause, action, since,"
            " until) VALUES (%s, 'hard', 'user_unknown', 'hard', 'blocklist',"
            " now() - interval '3 years', now() - interval '2 years')",
            [ANN],
        )

    cli("erase", ANN, "--yes")

    with psycopg.connect(database_url) as conn:
        kept = conn.execute("SELECT type, reason, cause FROM mtabounce.suppressions").fetchall()
    assert kept == [(None, "erased", "manual")]
