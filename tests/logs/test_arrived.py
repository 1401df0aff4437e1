"""A mail that arrives shows that a full mailbox is full no more."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce

NOW = datetime.now(UTC)
REMOTE = "mx.x.example[192.0.2.1]:25"
TO = "Ann@X.example"


@pytest.fixture
def read(tmp_path, database_url):
    """Import lines as one more log."""
    count = 0

    def _read(*lines, policy=""):
        nonlocal count
        count += 1
        path = tmp_path / f"mail.log.{count}"
        path.write_text("".join(lines))
        config = tmp_path / "mtabounce.toml"
        config.write_text(f'[database]\nurl = "{database_url}"\n{policy}')
        args = ["--config", str(config), "import", "logs", str(path)]
        result = CliRunner().invoke(mtabounce, args)
        assert result.exit_code == 0, result.output

    return _read


@pytest.fixture
def query(database_url):
    def _query(text):
        with psycopg.connect(database_url, autocommit=True) as conn:
            cursor = conn.execute(text)
            return cursor.fetchall() if cursor.description else []

    return _query


@pytest.fixture
def suppressed(query):
    return lambda: bool(
        query("SELECT 1 FROM mtabounce.suppressions WHERE recipient = 'ann@x.example'")
    )


def attempt(days_ago, state, *, to=f"to=<{TO}>", relay=REMOTE, daemon="smtp", said="ok"):
    at = NOW - timedelta(days=days_ago)
    queue_id = f"{0x4A0000000 + int(days_ago * 1000):X}"
    head = f"{at.isoformat(timespec='seconds')} mail postfix"
    status = "2.0.0" if state == "sent" else "5.2.2"
    return (
        f"{head}/cleanup[1]: {queue_id}: message-id=<{days_ago}@news.test>\n"
        f"{head}/qmgr[1]: {queue_id}: from=<news@news.test>, size=9, nrcpt=1 (queue active)\n"
        f"{head}/{daemon}[9]: {queue_id}: {to}, relay={relay}, delay=1, delays=0/0/0/1,"
        f" dsn={status}, status={state} ({said})\n"
    )


def refused(days_ago, **options):
    said = "host mx.x.example[192.0.2.1] said: 552 5.2.2 mailbox full (in reply to RCPT TO command)"
    return attempt(days_ago, "bounced", said=said, **options)


FULL = [refused(10), refused(6), refused(1)]


def test_mail_that_arrives_lifts_a_suppression(read, query, suppressed):
    read(*FULL)
    before = suppressed()
    read(attempt(0.5, "sent"))

    assert before
    assert not suppressed()
    ((at,),) = query("SELECT last_delivered_at FROM mtabounce.recipients")
    assert at == (NOW - timedelta(days=0.5)).replace(microsecond=0)
    assert query("SELECT count(*) FROM mtabounce.decisions WHERE action = 'lift'") == [(1,)]


def test_failure_of_a_mail_of_unknown_sender_is_only_a_claim(read, query, suppressed):
    """It may be a bounce that failed: the log begins amid it."""
    line = attempt(1, "bounced", said="host mx.x.example[192.0.2.1] said: 550 5.1.1 no such user")
    read("".join(one for one in line.splitlines(keepends=True) if "from=" not in one))

    assert query("SELECT type, trust FROM mtabounce.bounces") == [("hard", "claimed")]
    assert not suppressed()


def test_mail_that_arrived_in_between_makes_the_count_begin_anew(read, suppressed):
    read(*FULL[:2], attempt(3, "sent"), FULL[2])

    assert not suppressed()


@pytest.mark.parametrize("order", [(1, 20), (20, 1)])
def test_latest_mail_counts_in_whatever_order_a_log_tells(read, suppressed, order):
    """As where several hosts write into it."""
    softs = [refused(12), refused(8), refused(2)]
    read(*softs)
    assert suppressed()

    read(*(attempt(days_ago, "sent") for days_ago in order))

    assert not suppressed()


def test_older_mail_that_arrived_changes_nothing(read, query, suppressed):
    read(*FULL)
    read(attempt(12, "sent"))

    assert suppressed()
    assert query("SELECT action FROM mtabounce.decisions WHERE action IN ('lift', 'clear')") == []


@pytest.mark.parametrize(
    "options",
    [
        {"relay": "local", "daemon": "local"},
        {"relay": "mail.x.example[private/dovecot-lmtp]", "daemon": "lmtp"},
        {"to": f"to=<final@y.example>, orig_to=<{TO}>"},
        {"to": 'to=<"ann"@x.example>'},
    ],
    ids=["local", "lmtp", "original recipient", "quoted"],
)
def test_every_way_into_a_mailbox_counts(read, suppressed, options):
    read(*FULL, attempt(0.5, "sent", **options))

    assert not suppressed()


@pytest.mark.parametrize(
    "options",
    [
        {"relay": "127.0.0.1[127.0.0.1]:10024", "said": "250 2.0.0 Ok"},
        {"relay": "spamfilter", "daemon": "pipe", "said": "delivered via spamfilter service"},
        {"relay": "none", "daemon": "discard"},
        {"to": "to=<bob@x.example>"},
    ],
    ids=["content filter", "pipe", "discarded", "another"],
)
def test_what_goes_to_a_filter_or_nowhere_proves_nothing(read, suppressed, options):
    read(*FULL, attempt(0.5, "sent", **options))

    assert suppressed()


def test_acceptance_proves_nothing_where_bounces_come_after_it(read, query, suppressed):
    read(*FULL)
    query("UPDATE mtabounce.bounces SET sources = '{receiver}'")
    read(attempt(0.5, "sent"))

    assert suppressed()


def test_mail_that_arrives_lifts_a_hold(read, suppressed):
    careful = '[policy]\npreset = "careful"\n'
    said = "host mx.x.example[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)"
    read(attempt(2, "bounced", said=said).replace("5.2.2", "5.1.1"), policy=careful)
    before = suppressed()
    read(attempt(1, "sent"), policy=careful)

    assert before
    assert not suppressed()


@pytest.mark.parametrize(
    ("line", "arrives"),
    [
        (f"=> {TO} R=dnslookup T=remote_smtp H=mx.x.example [192.0.2.1] C=\"250 ok\"", True),
        (f"=> ann <{TO}> R=local_user T=maildir_home", True),
        (f"=> {TO} R=filter T=filter_smtp H=localhost [127.0.0.1] C=\"250 ok\"", False),
        (f"=> :blackhole: <{TO}> R=system_aliases", False),
        (f"*> {TO} R=dnslookup T=remote_smtp H=mx.x.example [192.0.2.1]", False),
    ],
    ids=["remote", "local", "filter", "blackhole", "not really"],
)  # fmt: skip
def test_arrival_in_the_log_of_exim_lifts_the_suppression(read, suppressed, line, arrives):
    read(*FULL, f"{NOW - timedelta(days=0.5):%Y-%m-%d %H:%M:%S} 1xVKdA-0005NO-24 {line}\n")

    assert suppressed() is not arrives
