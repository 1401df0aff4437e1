"""A webhook while PostgreSQL hangs and everything is killed: what got its 200 is there once."""

import hmac
import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.live.processes import LOOPBACK, wait_until
from tests.live.rows import bounces
from tests.live.service import Service

SECRET = "the secret of the test"
AWAY = 8  # events while PostgreSQL hangs; each waits two seconds for it, all at a time


def post(port, number):
    event = {"type": "hard", "email": f"user{number}@crash.example", "message_id": f"m{number}",
             "reply": "550 5.1.1 no such user", "at": "2026-11-02T10:15:42Z"}  # fmt: skip
    body = json.dumps(event).encode()
    signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    try:
        connection.request("POST", "/webhooks/service/generic", body, {"X-Signature": signature})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None  # cut: it promised nothing
    finally:
        connection.close()


def post_all(port, numbers):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(partial(post, port), numbers))
    return {number for number, status in zip(numbers, found, strict=True) if status == 200}


def test_event_that_got_its_200_is_there_once(folder):
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    more = f'[webhooks.generic]\nsecret_files = ["{secret}"]\n'
    with Service(folder / "mtabounce", more=more) as service:
        spool = service.folder / "state" / "spool"
        taken = post_all(service.http_port, range(100))
        for start in (100, 200):
            with service.without_postgres():
                numbers = range(start, start + AWAY)
                taken |= post_all(service.http_port, numbers)
                assert len(list(spool.glob("*.input"))) >= AWAY
                service.kill_all()
            service.start()
        wait_until(lambda: not list(spool.iterdir()), "the spool is empty", details=service.log)
        wait_until(
            lambda: taken <= {number_of(row) for row in bounces(service)},
            "all is recorded",
            details=service.log,
        )
        stored = Counter(number_of(row) for row in bounces(service))

    assert len(taken) == 100 + 2 * AWAY
    assert set(stored) == taken
    assert max(stored.values()) == 1


def test_secrets_are_read_anew_and_a_mistake_changes_nothing(folder):
    secret, other = folder / "secret", folder / "other"
    for path, text in ((secret, SECRET), (other, "another")):
        path.write_text(text)
        path.chmod(0o600)
    with Service(folder / "mtabounce", more="# no webhook\n") as service:
        port = service.http_port
        assert post(port, 1) == 400
        service.reload(f'[webhooks.generic]\nsecret_files = ["{secret}"]\n')
        assert post(port, 1) == 200
        service.reload('[webhooks.generic]\nsecret_fils = ["x"]\n', said="not reloaded")
        assert post(port, 2) == 200
        service.reload(
            f'[webhooks.sendgrid]\nsecret_files = ["{other}"]\n',
            said="[webhooks.sendgrid] the public key",
        )
        assert post(port, 3) == 200
        other.write_text(SECRET)
        secret.write_text("rotated")
        service.reload(f'[webhooks.generic]\nsecret_files = ["{secret}"]\n')
        assert post(port, 4) == 401


def number_of(row):
    return int(row.recipient.partition("@")[0].removeprefix("user"))
