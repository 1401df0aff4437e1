"""
Mail servers refuse whom mtabounce suppresses, and go on where it cannot be asked.

One mtabounce and one MX serve all tests, and each mail server all those that ask for it. Each test
mails a domain of its own, and leaves mtabounce running.
"""

import smtplib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.live.exim import Exim
from tests.live.failures import RETURN_DOMAIN, Sent, send
from tests.live.fake_mx import Answer, FakeMX
from tests.live.postfix import Postfix
from tests.live.processes import free_port, shared_folder, wait_until
from tests.live.service import Service
from tests.live.shipped import CONTRIB, add_reader, asking_postgres, shipped, socket_folder

UNKNOWN = Answer("550 5.1.1 <{to}>: Recipient address rejected: User unknown")
AT_ONCE = 25.0  # seconds, on a busy machine
NOT_OURS = "recipient is suppressed by mtabounce: user_unknown since 20"
NUMBERS = count(1)
UNUSUAL = ['"a b"', '"q\\"u\\\\\' OR 1=1 --"', "o'brien", "$local_part", "%s", "jörg", '"jörg b"']
SERVERS = ["postfix", "postfix-lookup", "exim", "exim-lookup"]


@dataclass
class World:
    """What all tests share."""

    folder: Path
    service: Service
    mx: FakeMX
    asked: int  # the port that mail servers ask at

    @contextmanager
    def without_mtabounce(self) -> Iterator[None]:
        """Stop it, and its PostgreSQL, for the time of the block."""
        self.service.stop()
        try:
            yield
        finally:
            self.service.start()
            socket_folder(self.service)


@pytest.fixture(scope="module")
def world():
    asked = free_port()
    more = f'[lookup]\nlisten = ["127.0.0.1:{asked}"]\nown_networks = ["127.0.0.1"]\n'
    with (
        shared_folder() as folder,
        FakeMX({}) as mx,
        Service(folder / "mtabounce", more=more) as service,
    ):
        add_reader(service)
        yield World(folder, service, mx, asked)


def postfix(
    world: World, name: str, asks: str, transports: str = "", tables: Iterable[str] = ()
) -> Postfix:
    names = ("mtabounce_suppressed_access.cf", "mtabounce_suppressed_transport.cf")
    host = f"hosts = unix:{socket_folder(world.service)}"
    files = {
        name: (CONTRIB / "postfix" / name).read_text().replace("hosts = unix:/run/postgresql", host)
        for name in names
    }
    own = (CONTRIB / "postfix" / "mtabounce_own").read_text().replace("127.0.0.0/8", "127.0.0.1")
    routes = f".moody.example smtp:[127.0.0.1]:{world.mx.port}\n"
    restrictions = f"""
{asks}
transport_maps = texthash:/etc/postfix/mtabounce_transport {transports}
"""
    return Postfix(
        world.folder / name,
        main=shipped("postfix/main.cf", world.service) + restrictions,
        master=shipped("postfix/master.cf", world.service),
        transport=shipped("postfix/mtabounce_transport", world.service) + routes,
        lifetime="1h",
        files={
            **files,
            "mtabounce_own": own,
            "suppressed_access": "",
            "suppressed_transport": "",
        },
        tables=tables,
    )


def exim(world: World, name: str, asked: int | None = None) -> Exim:
    """Exim that asks PostgreSQL, or mtabounce at the port *asked*."""
    acl = (CONTRIB / "exim" / "acl.suppressed").read_text()
    if asked:
        acl = at_port("exim/acl.suppressed.lookup", asked)
    _, _, rcpt = acl.partition("# In the ACL of acl_smtp_rcpt")
    sections = {
        "main": f"hostlist relay_from_hosts = 127.0.0.1\n{asking_postgres(world.service)}",
        "acl": acl,
        "rcpt": "\n".join(line[1:] for line in rcpt.splitlines()[2:]),
        "routers": shipped("exim/router", world.service)
        + shipped("exim/router.suppressed", world.service),
        "transports": shipped("exim/transport", world.service),
        "retry": shipped("exim/retry", world.service),
    }
    return Exim(
        world.folder / name,
        domains=["*.moody.example"],
        mx_port=world.mx.port,
        sections=sections,
    )


def at_port(name: str, port: int) -> str:
    """Return the file *name* of contrib, with the port that mtabounce listens at here."""
    return (CONTRIB / name).read_text().replace("127.0.0.1:2527", f"127.0.0.1:{port}")


def by_table(kind: str, access: str, transport: str) -> tuple[str, str]:
    """Return the lines of main.cf by which Postfix asks tables of the kind."""
    asks = f"""
smtpd_restriction_classes = mtabounce_refuses
mtabounce_refuses = check_recipient_access {kind}:/etc/postfix/{access}
smtpd_recipient_restrictions =
    check_client_access cidr:/etc/postfix/mtabounce_own
    check_sasl_access static:mtabounce_refuses
"""
    return asks, f"{kind}:/etc/postfix/{transport}"


PGSQL = by_table("pgsql", "mtabounce_suppressed_access.cf", "mtabounce_suppressed_transport.cf")
HASH = by_table("hash", "suppressed_access", "suppressed_transport")


def make(name: str, world: World) -> Postfix | Exim:
    """Return a server with one of the ways to ask."""
    match name:
        case "postfix":
            return postfix(world, name, *PGSQL)
        case "postfix-lookup":
            return postfix(world, name, at_port("postfix/suppressed_policy", world.asked))
        case "exim":
            return exim(world, name)
        case _:
            return exim(world, name, world.asked)


@pytest.fixture(scope="module", params=SERVERS)
def server(request, world):
    with make(request.param, world) as server:
        yield server


@dataclass
class Story:
    """Of one address at a domain of its own, whose MX does not know it at first."""

    world: World
    server: Postfix | Exim
    ann: str

    def mail(self) -> Sent:
        return Sent(next(NUMBERS), self.ann)

    def send(self) -> None:
        """Hand a mail over by SMTP."""
        send(self.server.address, [self.mail()])

    def hand_over(self) -> None:
        """Hand a mail over as a program on the machine does."""
        self.server.sendmail(f"b@{RETURN_DOMAIN}", self.ann, self.mail().content)

    def send_in(self) -> None:
        """Hand a mail over as a server elsewhere does."""
        mail = self.mail()
        with smtplib.SMTP(*self.server.address, source_address=("127.0.0.2", 0)) as client:
            client.sendmail(mail.reverse_path, [mail.to], mail.content)

    def refusal(self) -> tuple[int, bytes]:
        """Send a mail, which is refused; return how."""
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            self.send()
        return refused.value.recipients[self.ann]

    def is_refused(self) -> bool:
        try:
            self.send()
        except smtplib.SMTPRecipientsRefused:
            return True
        return False

    def let_live(self) -> None:
        """Let the MX know it from now on."""
        del self.world.mx.answers[self.domain]

    @property
    def domain(self) -> str:
        return self.ann.rpartition("@")[2]

    @property
    def arrived(self) -> int:
        return sum(self.ann in mail.forward_paths for mail in self.world.mx.mails)

    def reasons(self) -> list[str]:
        """Return the reasons of what was observed of it, in order."""
        found = self.world.service.query(
            "SELECT reason, recipient FROM mtabounce.observations JOIN mtabounce.recipients"
            " ON id = recipient_id ORDER BY observations.created_at"
        )
        return [row.reason for row in found if row.recipient == self.ann]

    def wait(self, ready, what: str) -> None:
        wait_until(ready, what, timeout=90, details=self.server.log)


def story_of(world: World, server: Postfix | Exim) -> Story:
    """Let an address bounce once, so that it is suppressed."""
    story = Story(world, server, f"ann@n{next(NUMBERS)}.moody.example")
    world.mx.answers[story.domain] = UNKNOWN
    story.send()
    story.wait(lambda: story.reasons() == ["user_unknown"], "its bounce is read")
    return story


@pytest.fixture
def story(world, server):
    return story_of(world, server)


def test_send_bounce_suppressed_refused_undone_and_sent(story):
    code, text = story.refusal()
    assert code == 550
    assert b"5.7.1" in text
    assert NOT_OURS.encode() in text

    story.world.service.run("suppressions", "undo", story.ann, "--yes")
    story.let_live()
    story.send()
    story.wait(lambda: story.arrived == 1, "the mail goes out again")


def test_unusual_addresses_are_refused(world, server):
    domain = f"n{next(NUMBERS)}.moody.example"
    world.service.run("suppressions", "add", *(f"{local}@{domain}" for local in UNUSUAL))

    with smtplib.SMTP(*server.address) as client:
        client.ehlo()
        for local in UNUSUAL:
            client.rset()
            client.command_encoding = "utf-8"  # which rset() forgets
            client.docmd(f"MAIL FROM:<b@{RETURN_DOMAIN}>")
            code, text = client.docmd(f"RCPT TO:<{local}@{domain}>")
            assert (code, b"is suppressed by" in text) == (550, True), local
            assert client.docmd(f"RCPT TO:<{local}@other.{domain}>")[0] == 250, local


@pytest.mark.parametrize(
    "server", ["postfix", "exim", "exim-lookup"], indirect=True, scope="module"
)
def test_mail_of_a_program_comes_back_to_its_sender_and_counts_for_nothing(story):
    story.hand_over()
    story.wait(lambda: len(story.reasons()) == 2, "it comes back")

    assert NOT_OURS in story.server.log()
    assert story.arrived == 0
    assert story.reasons() == ["user_unknown", "suppressed"]


@pytest.mark.parametrize(
    "server", ["postfix-lookup", "exim", "exim-lookup"], indirect=True, scope="module"
)
def test_mail_that_others_send_in_is_not_refused(story):
    story.let_live()
    story.send_in()
    story.wait(lambda: story.arrived == 1, "it arrives")


def test_postfix_without_a_transport_map_refuses_its_own_clients_only(world):
    with postfix(world, "postfix-own", PGSQL[0]) as server:
        story = story_of(world, server)
        assert story.refusal()[0] == 550
        story.let_live()
        story.send_in()
        story.wait(lambda: story.arrived == 1, "it arrives")


@pytest.mark.parametrize(
    "server", ["postfix-lookup", "exim", "exim-lookup"], indirect=True, scope="module"
)
def test_mail_goes_out_at_once_while_mtabounce_and_postgresql_are_away(story):
    story.let_live()
    with story.world.without_mtabounce():
        begun = time.monotonic()
        story.send()
        story.hand_over()
        story.wait(lambda: story.arrived == 2, "both mails go out")
        assert time.monotonic() - begun < AT_ONCE


@pytest.mark.parametrize("server", ["postfix-lookup", "exim-lookup"], indirect=True, scope="module")
def test_mail_goes_out_at_once_while_postgresql_hangs(story):
    story.let_live()
    with story.world.service.without_postgres():
        begun = time.monotonic()
        for _ in range(10):
            story.send()
        taken = time.monotonic() - begun
    story.wait(lambda: story.arrived == 10, "all go out")
    assert taken < AT_ONCE  # the first may wait for its answer, others do not

    story.wait(story.is_refused, "it is asked again")


@pytest.mark.parametrize("server", ["postfix"], indirect=True, scope="module")
def test_postfix_asks_to_try_again_while_postgresql_is_away(story):
    story.let_live()
    with story.world.without_mtabounce():
        code, _ = story.refusal()
        assert code == 451

    story.world.service.run("suppressions", "undo", story.ann, "--yes")
    story.server.reload()  # or a minute later: so long Postfix leaves such a database alone
    story.wait(lambda: not story.is_refused(), "it is asked again")
    story.wait(lambda: story.arrived == 1, "the mail goes out")


@pytest.mark.parametrize("server", ["postfix-lookup", "exim"], indirect=True, scope="module")
def test_who_is_erased_while_all_runs_is_named_nowhere_and_refused(story):
    story.world.service.run("erase", story.ann, "--yes")

    assert story.refusal()[0] == 550
    known, _ = inputs(story.world)
    story.send_in()
    story.wait(lambda: inputs(story.world) == (known + 1, 0), "its bounce is read")
    kept = story.world.service.query(
        "SELECT recipient AS text FROM mtabounce.recipients"
        " UNION ALL SELECT convert_from(content, 'UTF8') FROM mtabounce.inputs"
    )
    assert not any(story.ann in one.text for one in kept)
    assert story.refusal()[0] == 550


def inputs(world: World) -> tuple[int, int]:
    """Return how many inputs came in, and how many of them wait."""
    (counted,) = world.service.query(
        "SELECT count(*), count(*) FILTER (WHERE state = 'pending') AS waiting"
        " FROM mtabounce.inputs"
    )
    return counted.count, counted.waiting


def test_postfix_with_exported_tables_needs_no_database(world):
    tables = {"suppressed_access": "postfix", "suppressed_transport": "postfix-transport"}
    with postfix(world, "postfix-hash", *HASH, tables) as server:
        story = story_of(world, server)
        for name, form in tables.items():
            path = str(world.folder / "postfix-hash" / "etc" / name)
            world.service.run("suppressions", "export", "--format", form, "--output", path)
            server.postmap(name)
        story.let_live()
        with world.without_mtabounce():
            assert story.refusal()[0] == 550
            bob = Story(world, server, f"bob@{story.domain}")
            bob.send()
            bob.wait(lambda: bob.arrived == 1, "others get their mail")
