"""Return paths that were forged act on nobody, and keys can be turned while mail comes in."""

import smtplib
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from mtabounce.verp import Keyring
from tests.live.load import Load, bounce_of
from tests.live.processes import LOOPBACK, wait_until
from tests.live.rows import wait_for_inputs
from tests.live.service import Service

DOMAIN = "bounces.example.org"
OURS, VICTIM = "ann@example.net", "victim@example.net"
KEYS = """
[return_path]
domain = "bounces.example.org"
require_signed = {strict}
keys = [{keys}]
"""


def secret(name):
    return f"correct horse battery {name}"


@pytest.fixture
def keys(folder):
    """A function that makes the configuration of some keys, the first of which signs."""

    def make(*names, strict=False):
        rows = []
        for name in names:
            path = folder / f"{name}.key"
            path.write_text(secret(name))
            path.chmod(0o600)
            rows.append(f'{{ id = "{name}", secret_file = "{path}" }}')
        return KEYS.format(strict=str(strict).lower(), keys=", ".join(rows))

    return make


def signed(service, recipient):
    (row,) = service.query(f"SELECT mtabounce.return_path('{recipient}', 'spring') AS path")
    return row.path


def forgeries(good):
    """Name → (address, whom the bounce names), as somebody who saw *good* can make them."""
    local, _, domain = good.partition("@")
    number = local[6:].partition("-")[0]
    ring = Keyring(DOMAIN, {"a": secret("a").encode()})
    long_ago = int((datetime.now(UTC) - timedelta(days=60)).timestamp()) // 86_400
    expired = ring.sign(sum("abcdefghijklmnopqrstuvwxyz234567".index(c) for c in number), long_ago)
    return {
        "no tag": (f"b@{domain}", VICTIM),
        "unsigned tag": (f"b+{number}@{domain}", VICTIM),
        "wrong end": (f"{local[:-1]}{'b' if local[-1] == 'a' else 'a'}@{domain}", VICTIM),
        "too short": (f"{local[:-4]}@{domain}", VICTIM),
        "other number": (good.replace(f"{number}-", f"{number}9-"), VICTIM),
        "other domain": (f"{local}@other.invalid", VICTIM),
        "unknown key": (f"b+z{good[3:]}", VICTIM),
        "expired": (expired, OURS),
        "other victim": (good, VICTIM),
    }


def deliver(service, address, recipient, number):
    """Hand over a bounce as a stranger does; return the code that refused it, or 250."""
    with smtplib.SMTP(LOOPBACK, service.port) as client:
        try:
            client.sendmail(
                "", [address], "Received: from x by y\r\n" + bounce_of(recipient, number)
            )
        except smtplib.SMTPRecipientsRefused as refused:
            return refused.recipients[address]
    return 250, b""


@pytest.mark.parametrize("strict", [False, True], ids=["open", "strict"])
def test_forged_return_paths_act_on_nobody(folder, keys, strict):
    with Service(folder / "mtabounce", more=keys("a", strict=strict)) as service:
        forged = forgeries(signed(service, OURS))
        said = {
            name: deliver(service, address, recipient, number)
            for number, (name, (address, recipient)) in enumerate(forged.items())
        }
        taken = [name for name, (code, _) in said.items() if code == 250]
        wait_for_inputs(service, len(taken), str)
        observed = service.query("SELECT recipient_id, trust FROM mtabounce.observations")
        suppressed = service.query("SELECT recipient FROM mtabounce.active_suppressions")

        assert suppressed == []
        assert len(observed) == len(taken)
        assert {row.trust for row in observed} == {"claimed"}
        assert set(forged) - set(taken) == (
            set(forged) - {"expired", "other victim"} if strict else {"other domain"}
        )
        assert len({text for name, text in said.items() if name not in taken}) == 1

        good = signed(service, OURS)
        assert deliver(service, good.upper(), OURS, 100)[0] == 250
        wait_for_inputs(service, len(taken) + 1, str)
        suppressed = service.query("SELECT recipient FROM mtabounce.active_suppressions")
        assert [row.recipient for row in suppressed] == [OURS]


def test_used_return_path_acts_once_and_is_then_a_claim(folder, keys):
    with Service(folder / "mtabounce", more=keys("a")) as service:
        path = signed(service, OURS)
        for number in (1, 1, 2, 3):
            deliver(service, path, OURS, number)
        wait_for_inputs(service, 4, str)

        trusts = service.query("SELECT trust FROM mtabounce.observations ORDER BY trust DESC")
        (bounce,) = service.query("SELECT trust, observations FROM mtabounce.bounces")
        assert [row.trust for row in trusts] == ["proven", "claimed", "claimed"]
        assert (bounce.trust, bounce.observations) == ("proven", 3)

        service.run("suppressions", "undo", OURS, "--yes")
        deliver(service, path, OURS, 4)
        wait_for_inputs(service, 5, str)
        assert service.query("SELECT recipient FROM mtabounce.active_suppressions") == []


def test_keys_are_turned_under_load_and_nothing_is_refused(folder, keys):
    with (
        Service(folder / "mtabounce", more=keys("a", strict=True)) as service,
        ExitStack() as stack,
    ):
        old = signed(service, "old@example.net")
        url, lock = service.run("db", "url").strip(), threading.Lock()
        conn = stack.enter_context(psycopg.connect(url, autocommit=True))

        def to(number):
            query = "SELECT mtabounce.return_path(%s, 'spring')"
            with lock:
                return conn.execute(query, [f"user{number}@crash.example"]).fetchone()[0]

        with Load(service.port, clients=4, to=to) as load:
            for names in ("a", "ba", "cba"):
                service.reload(keys(*names, strict=True))
                goal = len(load.taken) + 50
                wait_until(lambda goal=goal: len(load.taken) >= goal, "mails are taken")
        assert load.refused == []
        assert deliver(service, old, "old@example.net", 1)[0] == 250
        wait_for_inputs(service, len(load.taken) + 1, str)
        trusts = service.query("SELECT DISTINCT trust FROM mtabounce.bounces")
        assert [row.trust for row in trusts] == ["proven"]
        first = service.query(
            "SELECT DISTINCT substr(forward_paths[1], 3, 1) AS k FROM mtabounce.inputs"
        )
        assert {row.k for row in first} == {"a", "b", "c"}

        service.reload(keys("c", "b", strict=True))
        assert deliver(service, old, "old@example.net", 2)[0] == 550
        service.reload(keys("c", "b"))
        assert deliver(service, old, "old@example.net", 2)[0] == 250


def test_mail_comes_in_while_a_reload_waits_for_the_database(folder, keys):
    with Service(folder / "mtabounce", more=keys("a")) as service:
        with service.without_postgres():
            service.hang_up()
            time.sleep(0.5)
            with smtplib.SMTP(LOOPBACK, service.port, timeout=30) as client:
                client.ehlo()
            assert "reloaded" not in service.log()
        wait_until(lambda: "reloaded" in service.log(), "it is reloaded", details=service.log)
        service.reload("[return_path]\nbogus = 1\n", "not reloaded: ")
        assert "bogus" in service.log()
