"""Mail servers refuse whom mtabounce suppresses, and go on where it cannot be asked."""

import smtplib
import time
from pathlib import Path

import pytest

from tests.live.exim import Exim
from tests.live.failures import RETURN_DOMAIN, Sent, send
from tests.live.fake_mx import Answer, FakeMX
from tests.live.postfix import Postfix
from tests.live.processes import free_port, wait_until
from tests.live.rows import wait_for_inputs
from tests.live.service import Service
from tests.live.shipped import CONTRIB, add_reader, asking_postgres, shipped, socket_folder

ANN = "ann@moody.example"
UNKNOWN = Answer("550 5.1.1 <{to}>: Recipient address rejected: User unknown")
AT_ONCE = 10.0  # seconds, on a busy machine
NOT_OURS = "recipient is suppressed by mtabounce: user_unknown since 20"


@pytest.fixture
def asked():
    """The port that mail servers ask at."""
    return free_port()


@pytest.fixture
def service(folder, asked):
    more = f'[lookup]\nlisten = ["127.0.0.1:{asked}"]\n'
    with Service(folder / "mtabounce", more=more) as service:
        add_reader(service)
        yield service


@pytest.fixture
def mx():
    with FakeMX({"moody.example": UNKNOWN}) as mx:
        yield mx


def postfix(folder: Path, service: Service, mx: FakeMX, asks: str, transports: str = "") -> Postfix:
    names = ("mtabounce_suppressed_access.cf", "mtabounce_suppressed_transport.cf")
    host = f"hosts = unix:{socket_folder(service)}"
    files = {
        name: (CONTRIB / "postfix" / name).read_text().replace("hosts = unix:/run/postgresql", host)
        for name in names
    }
    routes = f"moody.example smtp:[127.0.0.1]:{mx.port}\n"
    restrictions = f"""
{asks}
transport_maps = texthash:/etc/postfix/mtabounce_transport {transports}
"""
    return Postfix(
        folder / "postfix",
        main=shipped("postfix/main.cf", service) + restrictions,
        master=shipped("postfix/master.cf", service),
        transport=shipped("postfix/mtabounce_transport", service) + routes,
        lifetime="1h",
        files={**files, "suppressed_access": "", "suppressed_transport": ""},
    )


def exim(folder: Path, service: Service, mx: FakeMX, asked: int | None = None) -> Exim:
    """Exim that asks PostgreSQL, or mtabounce at the port *asked*."""
    acl = (CONTRIB / "exim" / "acl.suppressed").read_text()
    if asked:
        acl = at_port("exim/acl.suppressed.lookup", asked)
    _, _, rcpt = acl.partition("# In the ACL of acl_smtp_rcpt")
    sections = {
        "main": asking_postgres(service),
        "acl": acl,
        "rcpt": "\n".join(line[1:] for line in rcpt.splitlines()[2:]),
        "routers": shipped("exim/router", service) + shipped("exim/router.suppressed", service),
        "transports": shipped("exim/transport", service),
        "retry": shipped("exim/retry", service),
    }
    return Exim(folder / "exim", domains=["moody.example"], mx_port=mx.port, sections=sections)


def at_port(name: str, port: int) -> str:
    """Return the file *name* of contrib, with the port that mtabounce listens at here."""
    return (CONTRIB / name).read_text().replace("127.0.0.1:2527", f"127.0.0.1:{port}")


def by_table(kind: str, access: str, transport: str) -> tuple[str, str]:
    """Return the lines of main.cf by which Postfix asks tables of the kind."""
    asks = f"smtpd_recipient_restrictions = check_recipient_access {kind}:/etc/postfix/{access}"
    return asks, f"{kind}:/etc/postfix/{transport}"


PGSQL = by_table("pgsql", "mtabounce_suppressed_access.cf", "mtabounce_suppressed_transport.cf")


@pytest.fixture
def makers(folder, service, mx, asked):
    """Each server with each way to ask."""
    policy = at_port("postfix/suppressed_policy", asked)
    return {
        "postfix": lambda: postfix(folder, service, mx, *PGSQL),
        "postfix-lookup": lambda: postfix(folder, service, mx, policy),
        "exim": lambda: exim(folder, service, mx),
        "exim-lookup": lambda: exim(folder, service, mx, asked),
    }


@pytest.fixture(params=["postfix", "postfix-lookup", "exim", "exim-lookup"])
def server(request, makers):
    with makers[request.param]() as server:
        yield server


def mail(number: int) -> Sent:
    return Sent(number, ANN)


def bounce_once(server, service) -> None:
    send(server.address, [mail(1)])
    wait_for_inputs(service, 1, server.log)
    assert len(service.query("SELECT recipient FROM mtabounce.active_suppressions")) == 1


def test_send_bounce_suppressed_refused_undone_and_sent(server, service, mx):
    bounce_once(server, service)

    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(server.address, [mail(2)])
    ((code, text),) = refused.value.recipients.values()
    assert code == 550
    assert b"5.7.1" in text
    assert NOT_OURS.encode() in text

    service.run("suppressions", "undo", ANN, "--yes")
    mx.answers = {}
    send(server.address, [mail(3)])
    wait_until(lambda: len(mx.mails) == 1, "the mail goes out again", details=server.log)


@pytest.mark.parametrize("server", ["postfix", "exim", "exim-lookup"], indirect=True)
def test_mail_of_a_program_comes_back_to_its_sender_and_counts_for_nothing(server, service, mx):
    bounce_once(server, service)

    server.sendmail(f"b@{RETURN_DOMAIN}", ANN, mail(2).content)
    wait_for_inputs(service, 2, server.log)

    assert NOT_OURS in server.log()
    assert mx.mails == []
    reasons = service.query("SELECT reason FROM mtabounce.observations ORDER BY created_at")
    assert [row.reason for row in reasons] == ["user_unknown", "suppressed"]


@pytest.mark.parametrize("server", ["postfix-lookup", "exim", "exim-lookup"], indirect=True)
def test_mail_goes_out_at_once_while_mtabounce_and_postgresql_are_away(server, service, mx):
    bounce_once(server, service)
    mx.answers = {}
    service.stop()

    begun = time.monotonic()
    send(server.address, [mail(2)])
    server.sendmail(f"b@{RETURN_DOMAIN}", ANN, mail(3).content)
    wait_until(lambda: len(mx.mails) == 2, "both mails go out", details=server.log)
    assert time.monotonic() - begun < AT_ONCE


@pytest.mark.parametrize("server", ["postfix-lookup", "exim-lookup"], indirect=True)
def test_mail_goes_out_at_once_while_postgresql_hangs(server, service, mx):
    bounce_once(server, service)
    mx.answers = {}

    with service.without_postgres():
        begun = time.monotonic()
        for number in range(2, 12):
            send(server.address, [mail(number)])
        taken = time.monotonic() - begun
    wait_until(lambda: len(mx.mails) == 10, "all go out", details=server.log)
    assert taken < AT_ONCE  # the first may wait for its answer, others do not

    wait_until(lambda: is_refused(server), "it is asked again", details=server.log)


def is_refused(server) -> bool:
    try:
        send(server.address, [mail(20)])
    except smtplib.SMTPRecipientsRefused:
        return True
    return False


def test_postfix_asks_to_try_again_while_postgresql_is_away(folder, service, mx):
    with postfix(folder, service, mx, *PGSQL) as server:
        bounce_once(server, service)
        mx.answers = {}
        service.stop()

        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(server.address, [mail(2)])
        ((code, _),) = refused.value.recipients.values()
        assert code == 451
        service.start()
        service.run("suppressions", "undo", ANN, "--yes")
        wait_until(lambda: is_taken(server), "it is asked again", timeout=90, details=server.log)
        wait_until(lambda: len(mx.mails) == 1, "the mail goes out", details=server.log)


def is_taken(server: Postfix) -> bool:
    try:
        send(server.address, [mail(3)])
    except smtplib.SMTPRecipientsRefused:
        return False  # Postfix asks a database that was away again after a minute
    return True


def test_postfix_with_exported_tables_needs_no_database(folder, service, mx):
    tables = by_table("hash", "suppressed_access", "suppressed_transport")
    made = postfix(folder, service, mx, *tables)
    with made as server:
        for name in ("suppressed_access", "suppressed_transport"):
            server.postmap(name)
        bounce_once(server, service)
        for name, form in (
            ("suppressed_access", "postfix"),
            ("suppressed_transport", "postfix-transport"),
        ):
            path = str(folder / "postfix" / "etc" / name)
            service.run("suppressions", "export", "--format", form, "--output", path)
            server.postmap(name)
        mx.answers = {}
        service.stop()

        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(server.address, [mail(2)])
        send(server.address, [Sent(3, "bob@moody.example")])
        wait_until(lambda: len(mx.mails) == 1, "others get their mail", details=server.log)
