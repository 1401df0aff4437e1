"""Whatever is killed under load: a mail that got its 250 is in the database, exactly once."""

from collections import Counter

import pytest

from tests.live.load import Load
from tests.live.processes import wait_until
from tests.live.rows import bounces, wait_for_inputs
from tests.live.service import Service

ROUNDS = 4
MAILS = 100  # that must get through between two crashes, so that each comes under load


def kill_main(service):
    service.kill()
    service.start()


def kill_everything(service):
    service.kill_all()
    service.start()


def kill_postgres(service):
    service.kill_postgres()


@pytest.mark.parametrize("crash", [kill_main, kill_everything, kill_postgres])
def test_mail_that_got_its_250_is_there_once(folder, crash):
    with Service(folder / "mtabounce") as service:
        with Load(service.port, clients=8) as load:
            for _ in range(ROUNDS):
                wait_for_progress(load)
                crash(service)
            wait_for_progress(load)
        wait_for_inputs(service, len(load.taken), str)
        stored = Counter(row.recipient for row in bounces(service))

    assert load.refused == []
    assert {f"user{number}@crash.example" for number in load.taken} <= stored.keys()
    assert max(stored.values()) == 1


def wait_for_progress(load):
    goal = len(load.taken) + MAILS
    wait_until(lambda: len(load.taken) >= goal, "mails are taken again", timeout=60)
