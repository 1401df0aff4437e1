"""The logs of real mail servers are followed while they are rotated; DSNs say the same again."""

import pytest

from tests.live import shipped
from tests.live.failures import ANSWERS, mails, send
from tests.live.fake_mx import FakeMX
from tests.live.processes import wait_until
from tests.live.rows import wait_for_inputs
from tests.live.service import Service

COUNT = 48


@pytest.mark.parametrize(
    ("server", "log"),
    [
        (shipped.postfix_over_smtp, "postfix/log/maillog"),
        (shipped.exim_over_smtp, "exim/log/mainlog"),
    ],
    ids=["postfix", "exim"],
)
def test_failure_in_log_and_dsn_is_one_bounce_under_rotation(folder, server, log):
    sent = list(mails(COUNT))

    with (
        FakeMX(ANSWERS) as mx,
        Service(folder / "mtabounce", [folder / log]) as service,
        server(folder, mx, service) as mta,
    ):
        for start in range(0, COUNT, 12):
            send(mta.address, sent[start : start + 12])
            # Postfix reloads as it rotates, and then forgets a mail that is just being retried.
            wait_for_inputs(service, start + 12, mta.log)
            mta.rotate()
        wait_until(lambda: logged(service) == COUNT, "all is read", details=service.log)
        rows = service.query(
            "SELECT recipient, sources, observations, original_message_id, trust"
            " FROM mtabounce.bounces ORDER BY recipient"
        )
        waiting = service.query("SELECT final_recipient FROM mtabounce.pending_deliveries")
        lines = service.query("SELECT count(*) AS files FROM mtabounce.log_files")

    both = [f"log:{folder / log}", "receiver"]
    assert [tuple(row) for row in rows] == [
        (mail.to, both, 2, mail.message_id, "proven")
        for mail in sorted(sent, key=lambda mail: mail.to)
    ]
    assert waiting == []
    assert lines[0].files >= 4


def logged(service):
    (row,) = service.query(
        "SELECT count(*) AS count FROM mtabounce.observations WHERE source LIKE 'log:%'"
    )
    return row.count
