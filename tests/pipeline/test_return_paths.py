"""A bounce to a signed return path proves itself; whatever is wrong with one, nobody is harmed."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from mtabounce.model import RawInput
from mtabounce.pipeline.return_paths import PATHS, today
from mtabounce.store import inputs
from mtabounce.store.connection import connect_sync
from mtabounce.store.return_paths import id_for, key_ids, put_keys
from mtabounce.verp import Keyring
from tests.working import worked

DOMAIN = "bounces.example.org"
RING = Keyring(DOMAIN, {"a": b"correct horse battery staple", "k": b"of yesterday, still good"})
DSN = """\
From: MAILER-DAEMON@mx.example.org
Message-ID: <{number}@mx.example.org>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--b
Content-Type: text/rfc822-headers

Message-ID: <{message}@lists.example.org>
{header}

--b--
"""


def dsn(recipient, number=1, message=1, header="Subject: News"):
    text = DSN.format(recipient=recipient, number=number, message=message, header=header)
    return text.encode()


@pytest.fixture
def sync(database_url):
    with connect_sync(database_url, application_name="test") as conn:
        put_keys(conn, RING)
        yield conn


@pytest.fixture
def sign(sync):
    """A function that makes a return path in SQL."""

    def make(email, campaign=None):
        query = "SELECT mtabounce.return_path(%s, %s)"
        return sync.execute(query, [email, campaign]).fetchone()[0]

    return make


@pytest.fixture
def receive(connecting):
    """A function that takes mails (content, forward-path) in, and has them worked on."""

    async def run(*mails, ring=RING, received_at=None):
        async with await connecting() as conn:
            raws = [
                RawInput(
                    source="receiver",
                    content=content,
                    received_at=received_at or datetime.now(UTC),
                    forward_paths=(path,),
                )
                for content, path in mails
            ]
            await inputs.append(conn, raws)
        await worked(connecting, ring=ring)

    return run


@pytest.fixture
def bounces(sync):
    def read():
        with sync.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                "SELECT recipient, trust, observations, campaign FROM bounces"
                " LEFT JOIN campaigns c ON c.id = campaign_id ORDER BY recipient"
            ).fetchall()

    return read


def counted(result):
    return PATHS.labels(result)._value.get()


@pytest.mark.parametrize("email", ["ann@example.net", "Ann+X@Example.NET", " o'h@example.net "])
@pytest.mark.parametrize("campaign", ["", "spring", "'; DROP TABLE x; -- ü"])
def test_sql_and_python_make_the_same(sync, sign, email, campaign):
    made = sign(email, campaign)

    number = id_for(sync, email, campaign)
    assert made == RING.sign(number, today())
    assert RING.check(made, today()).number == number


def test_large_numbers_are_the_same_in_sql_and_python(sync, sign):
    for number in (31, 32, 1023, 1024, 2**40 + 5, 2**62):
        sync.execute("ALTER TABLE return_paths ALTER id RESTART WITH %d" % number)  # noqa: UP031
        assert sign(f"u{number}@example.net") == RING.sign(number, today())


def test_same_mail_has_the_same_return_path_and_one_row(sync, sign):
    assert sign("ann@example.net", "spring") == sign("ANN@example.net", "spring")
    assert sign("ann@example.net", "spring") != sign("ann@example.net", "summer")
    assert sync.execute("SELECT count(*) FROM return_paths").fetchone() == (2,)


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@example.net", "a b@example.net", "x" * 400])
def test_what_is_no_address_gets_no_return_path(sign, email):
    with pytest.raises(psycopg.errors.CheckViolation):
        sign(email)


def test_without_a_key_sql_says_what_to_do(database_url):
    with (
        connect_sync(database_url, application_name="test") as conn,
        pytest.raises(psycopg.errors.RaiseException, match="no key to sign"),
    ):
        conn.execute("SELECT mtabounce.return_path('ann@example.net')")


def test_readers_can_sign_and_not_see_the_key(database_url, sync):
    with connect_sync(database_url, application_name="test") as conn:
        conn.execute("SET ROLE mtabounce_read")
        made = conn.execute("SELECT mtabounce.return_path('ann@example.net')").fetchone()
        assert RING.check(made[0], today()).is_proof
        assert key_ids(conn) == ["a", "k"]
        for query in ("SELECT inner_pad FROM return_path_keys", "TABLE return_path_keys"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(query)


def test_administrators_do_not_see_or_change_the_key(database_url, sync):
    with connect_sync(database_url, application_name="test") as conn:
        conn.execute("SET ROLE mtabounce_admin")
        for attempt in ("SELECT inner_pad FROM return_path_keys", "DELETE FROM return_path_keys"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(attempt)


async def test_bounce_to_the_right_path_is_proven_and_has_its_campaign(sign, receive, bounces):
    await receive((dsn("ann@example.net"), sign("ann@example.net", "spring").upper()))

    assert bounces() == [
        {"recipient": "ann@example.net", "trust": "proven", "observations": 1, "campaign": "spring"}
    ]


ARF = """\
From: fbl@provider.example
Message-ID: <arf@provider.example>
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Provider/1
Version: 1
Original-Mail-From: <{path}>
Original-Rcpt-To: redacted

--b
Content-Type: text/rfc822-headers

Message-ID: <1@lists.example.org>
To: redacted

--b--
"""


def wrapped(path):
    local, _, domain = path.partition("@")
    return f"SRS0=HHH=TT={domain}={local}@forwarder.example"


@pytest.mark.parametrize("way", [str, str.upper, wrapped])
async def test_return_path_that_the_returned_mail_had_proves_as_much(sign, receive, bounces, way):
    path = way(sign("ann@example.net", "spring"))
    content = dsn("ann@example.net", header=f"Return-Path: <{path}>")

    await receive((content, "bounces@mailbox.example"))

    assert [(row["recipient"], row["trust"], row["campaign"]) for row in bounces()] == [
        ("ann@example.net", "proven", "spring")
    ]


async def test_complaint_that_hides_its_recipient_is_told_by_the_return_path(
    sign, receive, bounces, sync
):
    path = sign("ann@example.net", "spring")

    await receive((ARF.format(path=path).encode(), "fbl@example.org"))

    assert [(row["recipient"], row["trust"]) for row in bounces()] == [
        ("ann@example.net", "proven")
    ]
    assert sync.execute("SELECT type FROM bounces").fetchone() == ("complaint",)


@pytest.mark.parametrize("spoil", ["forged", "somebody else"])
async def test_spoilt_path_of_the_returned_mail_proves_nothing(sign, receive, bounces, spoil):
    path = sign("ann@example.net", "spring")
    path = path.replace("-", "x-", 1) if spoil == "forged" else path
    recipient = "ann@example.net" if spoil == "forged" else "victim@example.net"

    await receive((dsn(recipient, header=f"Return-Path: <{path}>"), "b@mailbox.example"))

    assert [(row["recipient"], row["trust"]) for row in bounces()] == [(recipient, "claimed")]


async def test_other_recipient_is_only_a_claim(sign, receive, bounces):
    before = counted("other_recipient")

    await receive((dsn("victim@example.net"), sign("ann@example.net", "spring")))

    assert [(row["recipient"], row["trust"]) for row in bounces()] == [
        ("victim@example.net", "claimed")
    ]
    assert counted("other_recipient") == before + 1


@pytest.mark.parametrize(
    ("spoil", "result"),
    [
        (lambda path: path.replace("-", "x-", 1), "forged"),
        (lambda path: "b+z" + path[3:], "unknown_key"),
        (lambda path: path.replace(DOMAIN, "other.example.org"), "foreign"),
        (lambda path: path.replace("-", "", 1), "unsigned"),
        (lambda _: f"b+ann=example.net@{DOMAIN}", "verp"),
        (lambda _: RING.sign(10**9, today()), "unknown_number"),
    ],
)
async def test_spoilt_path_is_only_a_claim(sign, receive, bounces, spoil, result):
    path = spoil(sign("ann@example.net"))
    before = counted(result)

    await receive((dsn("ann@example.net"), path))

    assert [row["trust"] for row in bounces()] == ["claimed"]
    assert counted(result) == before + 1


async def test_path_is_good_until_it_expires(sign, receive, bounces):
    path, now = sign("ann@example.net"), datetime.now(UTC)

    await receive((dsn("ann@example.net"), path), received_at=now + timedelta(days=41))
    assert bounces()[0]["trust"] == "claimed"

    await receive((dsn("ann@example.net", 2, 2), path), received_at=now + timedelta(days=39))
    assert sorted(row["trust"] for row in bounces()) == ["claimed", "proven"]


async def test_replay_counts_once(sign, receive, bounces):
    path = sign("ann@example.net", "spring")

    await receive(*[(dsn("ann@example.net"), path)] * 100)
    await receive(*[(dsn("ann@example.net", n, n), path) for n in range(50)])

    (bounce,) = bounces()
    assert bounce["observations"] <= 51


async def test_replay_turns_no_soft_bounce_into_a_hard_one(sign, receive, bounces, sync):
    path, before = sign("ann@example.net", "spring"), counted("replayed")
    full = dsn("ann@example.net").replace(b"5.1.1", b"4.2.2").replace(b"User unknown", b"full")

    await receive((full, path))
    await receive(*[(dsn("ann@example.net", n, 1), path) for n in (2, 3)])

    assert sync.execute("SELECT type, trust FROM bounces").fetchall() == [("soft", "proven")]
    trusts = sync.execute("SELECT trust FROM observations ORDER BY input_id").fetchall()
    assert trusts == [("proven",), ("claimed",), ("claimed",)]
    assert counted("replayed") == before + 2


async def test_replay_in_one_batch_with_what_it_copies_is_a_claim(sign, receive, bounces, sync):
    path = sign("ann@example.net", "spring")

    await receive(*[(dsn("ann@example.net", n, 1), path) for n in (1, 2, 3)])

    trusts = sync.execute("SELECT trust FROM observations ORDER BY input_id").fetchall()
    assert trusts == [("proven",), ("claimed",), ("claimed",)]


async def test_delay_before_the_failure_uses_no_return_path_up(sign, receive, bounces):
    path = sign("ann@example.net", "spring")
    delayed = dsn("ann@example.net").replace(b"failed", b"delayed").replace(b"5.1.1", b"4.2.0")

    await receive((delayed, path))
    await receive((dsn("ann@example.net", 2), path))

    assert [row["trust"] for row in bounces()] == ["proven"]


async def test_without_a_campaign_two_mails_stay_two_bounces(sign, receive, bounces):
    path = sign("ann@example.net")

    await receive(*[(dsn("ann@example.net", n, n), path) for n in (1, 2)])

    assert len(bounces()) == 2


async def test_path_is_tied_over_a_changed_message_id(sign, receive, bounces):
    path = sign("ann@example.net", "spring")

    await receive(*[(dsn("ann@example.net", n, n), path) for n in (1, 2)])

    assert [row["observations"] for row in bounces()] == [2]


async def test_claim_that_names_a_known_message_is_likely(sign, receive, bounces):
    delayed = dsn("ann@example.net").replace(b"failed", b"delayed").replace(b"5.1.1", b"4.2.0")

    await receive((delayed, sign("ann@example.net")))
    await receive((dsn("ann@example.net", 2, 1), f"b@{DOMAIN}"))
    await receive((dsn("bob@example.net", 3, 1), f"b@{DOMAIN}"))

    assert [(row["recipient"], row["trust"]) for row in bounces()] == [
        ("ann@example.net", "likely"),
        ("bob@example.net", "claimed"),
    ]


@pytest.mark.parametrize("spoil", ["forged", "expired"])
async def test_spoilt_path_stays_a_claim_whatever_message_it_names(sign, receive, sync, spoil):
    delayed = dsn("ann@example.net").replace(b"failed", b"delayed").replace(b"5.1.1", b"4.2.0")
    path = sign("ann@example.net")
    old = RING.sign(RING.check(path, today()).number, today() - 60)

    await receive((delayed, path))
    spoilt = old if spoil == "expired" else path.replace("-", "x-", 1)
    await receive((dsn("ann@example.net", 2, 1), spoilt))

    assert sync.execute("SELECT trust FROM bounces").fetchall() == [("claimed",)]


@pytest.mark.parametrize(
    ("subscriber", "trust"),
    [("5ab2ba45-b8ad-4a42-a5f8-a1a8ee2f4f3c", "likely"), ("17", "claimed")],
)
async def test_claim_that_names_the_subscriber_is_likely_where_nobody_guesses_it(
    sign, receive, bounces, subscriber, trust
):
    header = f"X-Listmonk-Subscriber: {subscriber}"
    delayed = dsn("ann@example.net", header=header).replace(b"failed", b"delayed")

    await receive((delayed, sign("ann@example.net")))
    await receive((dsn("ann@example.net", 2, 2, header), f"b@{DOMAIN}"))

    assert [row["trust"] for row in bounces()] == [trust]


async def test_keys_can_be_turned_while_mail_is_on_its_way(sync, sign, receive, bounces):
    path = sign("ann@example.net")
    turned = Keyring(DOMAIN, {"n": b"a new secret, from today", **RING.keys})
    put_keys(sync, turned)

    await receive((dsn("ann@example.net"), path), ring=turned)
    assert bounces()[0]["trust"] == "proven"
    assert sign("ann@example.net").startswith("b+n")
