"""Mautic, Mailman 3 and listmonk leave alone whom a suppression is not about."""

import json
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from mtabounce.address import normalize
from mtabounce.store.outbox import add_events
from tests.sinks.telling import Server, rows, speak, telling


@pytest.fixture
def serve():
    """Serve a program: a function of method, path, query and body that returns JSON."""
    with ExitStack() as servers:

        def start(program):
            def respond(method, path, headers, body):
                if not body and "Content-Type" in headers:
                    return 400, {"title": "Invalid JSON"}  # as Mailman 3.3 does
                url = urlsplit(path)
                told = json.loads(body) if body else {}
                return 200, program(method, url.path, parse_qs(url.query), told)

            return servers.enter_context(Server(respond)).url

        yield start


class Mautic:
    """Contacts, found as Mautic finds them: by a part of the address, or a pattern of LIKE."""

    def __init__(self, **contacts):
        self.contacts = {str(n): one for n, one in enumerate(contacts.values(), 1)}
        self.marks = {str(n): set() for n in range(1, len(contacts) + 1)}

    def __call__(self, method, path, query, told):
        if method == "GET":
            (word,) = query["search"]
            part = word.removeprefix("email:")
            found = {n: self.shown(n) for n, one in self.contacts.items() if part in one.lower()}
            return {"total": str(len(found)), "contacts": found or []}
        _, _, _, number, _, channel, verb = path.split("/")
        assert channel == "email"
        if verb == "add":
            self.marks[number].add(told["reason"])
        else:
            self.marks[number].clear()
        return {"contact": self.shown(number)}

    def shown(self, number):
        marks = [{"reason": one, "channel": "email"} for one in self.marks[number]]
        address = self.contacts[number]
        return {"id": int(number), "doNotContact": marks, "fields": {"all": {"email": address}}}


async def mautic(conn, serve, secret, program):
    url = serve(program)
    return await telling(
        conn, kind="mautic", url=url, username="api", password_file=secret("t0ken-x")
    )


async def tell_all(tell):
    while await tell():
        pass


async def test_contact_with_just_this_address_is_not_contacted_and_is_again(conn, serve, secret):
    program = Mautic(ann="Ann@Example.org", joann="joann@example.org", uk="ann@example.org.uk")
    tell = await mautic(conn, serve, secret, program)

    await speak(conn, "add", "ann@example.org")
    await tell_all(tell)
    assert program.marks == {"1": {2}, "2": set(), "3": set()}

    await speak(conn, "remove", "ann@example.org")
    await tell_all(tell)
    assert program.marks == {"1": set(), "2": set(), "3": set()}


async def test_contact_who_unsubscribed_stays_so(conn, serve, secret):
    program = Mautic(ann="ann@example.org")
    program.marks["1"] = {1}
    tell = await mautic(conn, serve, secret, program)
    await speak(conn, "add", "ann@example.org")
    await speak(conn, "remove", "ann@example.org")

    await tell_all(tell)

    assert program.marks == {"1": {1}}


async def test_contact_that_mautic_does_not_have_is_no_failure(conn, serve, secret):
    tell = await mautic(conn, serve, secret, Mautic())
    await speak(conn, "add", "ann@example.org")
    await tell_all(tell)

    assert (await rows(conn))[0]["state"] == "sent"


async def test_mautic_is_not_told_of_one_list(conn, serve, secret):
    program = Mautic(ann="ann@example.org")
    tell = await mautic(conn, serve, secret, program)
    await happened(conn, "suppressed", scope="list:news.example.org")

    await tell_all(tell)

    assert program.marks == {"1": set()}


async def happened(conn, event, **payload):
    row = {"event": event, "recipient": payload.pop("recipient", "ann@example.org")}
    row["payload"] = payload
    async with conn.transaction():
        await add_events(conn, [row])


class Mailman:
    """The subscriptions of one address: number → (list, role, delivery_status or None)."""

    def __init__(self, members):
        self.members = members

    def __call__(self, method, path, query, told):
        if path.endswith("/members/find"):
            (address,) = query["subscriber"]
            return {
                "total_size": len(self.members),
                "entries": [
                    {"member_id": n, "list_id": name, "role": role, "email": address}
                    for n, (name, role, _) in self.members.items()
                ],
            }
        number = path.split("/")[-2]
        name, role, status = self.members[number]
        if method == "PATCH":
            self.members[number] = (name, role, told["delivery_status"])
            return None
        return {"delivery_status": status} if status else {}

    def status(self):
        return {name: status for name, role, status in self.members.values() if role == "member"}


async def mailman(conn, serve, secret, program):
    url = f"{serve(program)}/3.1"
    return await telling(
        conn, kind="mailman3", url=url, username="restadmin", password_file=secret("t0ken-x")
    )


async def test_member_gets_no_mail_and_gets_it_again(conn, serve, secret):
    program = Mailman(
        {
            "8a": ("ant.example.com", "member", None),
            "8b": ("ant.example.com", "owner", None),
            "9a": ("bee.example.com", "member", "by_user"),
        }
    )
    tell = await mailman(conn, serve, secret, program)

    await speak(conn, "add", "ann@example.org")
    await tell_all(tell)
    assert program.status() == {"ant.example.com": "by_bounces", "bee.example.com": "by_user"}
    assert program.members["8b"][2] is None

    await speak(conn, "remove", "ann@example.org")
    await tell_all(tell)
    assert program.status() == {"ant.example.com": "enabled", "bee.example.com": "by_user"}


async def test_member_is_off_in_one_list_only(conn, serve, secret):
    lists = {"8a": ("ant.example.com", "member", None), "9a": ("bee.example.com", "member", None)}
    program = Mailman(lists)
    tell = await mailman(conn, serve, secret, program)

    await happened(conn, "suppressed", scope="list:bee.example.com")
    await tell_all(tell)
    assert program.status() == {"ant.example.com": None, "bee.example.com": "by_bounces"}

    await happened(conn, "lifted", scope="list:bee.example.com", still=["all"])
    await tell_all(tell)
    assert program.status() == {"ant.example.com": None, "bee.example.com": "by_bounces"}

    await happened(conn, "lifted", scope="all", still=["list:bee.example.com"])
    await tell_all(tell)
    assert program.status() == {"ant.example.com": None, "bee.example.com": "by_bounces"}

    await happened(conn, "lifted", scope="list:bee.example.com", still=[])
    await tell_all(tell)
    assert program.status() == {"ant.example.com": None, "bee.example.com": "enabled"}


class Listmonk:
    """Subscribers in PostgreSQL, found by any SQL, as in listmonk."""

    def __init__(self, url, *emails):
        self.conn = psycopg.connect(url, autocommit=True)
        self.conn.execute("CREATE TEMP TABLE subscribers (id serial, email text)")
        for email in emails:
            self.conn.execute("INSERT INTO subscribers (email) VALUES (%s)", [email])
        self.bounced = []

    def __call__(self, method, path, query, told):
        if method == "GET":
            (where,) = query["query"]
            asked = f"SELECT id, email FROM subscribers WHERE {where}"  # noqa: S608 (so it does)
            rows = self.conn.execute(asked).fetchall()
            results = [{"id": number, "email": email} for number, email in rows]
            return {"data": {"results": results, "total": len(results)}}
        if method == "DELETE":
            number = int(path.removeprefix("/api/subscribers/"))
            self.conn.execute("DELETE FROM subscribers WHERE id = %s", [number])
        else:
            self.bounced.append(told["email"])
        return {"data": True}

    @property
    def left(self):
        return [email for (email,) in self.conn.execute("SELECT email FROM subscribers")]


@pytest.fixture
def listmonk(database_url, conn, serve, secret):
    with ExitStack() as opened:

        async def start(*emails):
            program = Listmonk(database_url, *emails)
            opened.enter_context(program.conn)
            tell = await telling(
                conn,
                kind="listmonk",
                url=serve(program),
                username="api",
                password_file=secret("t0ken-x"),
            )
            return program, tell

        yield start


@pytest.mark.parametrize(
    "email",
    [
        "Ann@Example.org",
        "o'hara@example.org",
        '"back\\\\slash\'"@example.org',
        '"\' OR true --"@example.org',
        "ann@bücher.example",
        "ann@xn--bcher-kva.example",
    ],
)
async def test_subscriber_whom_policy_deletes_is_deleted_there(conn, listmonk, email):
    others = ["joann@example.org", "bob@example.org", "ann@example.org.uk"]
    program, tell = await listmonk(email, *others)
    await happened(
        conn,
        "suppressed",
        recipient=normalize(email),
        scope="all",
        cause="hard",
        action="delete",
    )

    await tell_all(tell)

    assert program.left == others
    assert program.bounced == []
    assert (await rows(conn))[0]["state"] == "sent"


async def test_bounce_is_told_of_the_address_as_people_write_it_too(conn, listmonk):
    program, tell = await listmonk()
    await happened(
        conn,
        "suppressed",
        recipient="ann@xn--bcher-kva.example",
        scope="all",
        cause="hard",
        action="blocklist",
    )

    await tell_all(tell)

    assert program.bounced == ["ann@xn--bcher-kva.example", "ann@bücher.example"]
