"""Mail servers send to a misbehaving world; their bounces become rows, each once, explained."""

import pytest

from tests.live import shipped
from tests.live.failures import ANSWERS, CAMPAIGN, JUDGED, JUDGED_OF_EXIM, mails, send
from tests.live.fake_mx import FakeMX
from tests.live.rows import Row, bounces, wait_for_inputs
from tests.live.service import Service


@pytest.mark.parametrize(
    ("server", "count", "judged"),
    [
        (shipped.postfix_over_smtp, 200, JUDGED),
        (shipped.postfix_over_lmtp, 16, JUDGED),
        (shipped.postfix_by_pipe, 40, JUDGED),
        (shipped.exim_by_pipe, 16, JUDGED_OF_EXIM),
        (shipped.exim_over_smtp, 200, JUDGED_OF_EXIM),
        (shipped.exim_over_lmtp, 16, JUDGED_OF_EXIM),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_mail_that_failed_is_one_row_that_says_why(folder, server, count, judged):
    sent = list(mails(count))

    with (
        FakeMX(ANSWERS) as mx,
        Service(folder / "mtabounce") as service,
        server(folder, mx, service) as mta,
    ):
        send(mta.address, sent)
        wait_for_inputs(service, count, mta.log)
        rows = bounces(service)

        senders = service.query("SELECT DISTINCT reverse_path AS sender FROM mtabounce.inputs")
        assert mta.queue() == []
        assert [row.sender for row in senders] == [""]
    source = "pipe" if "pipe" in server.__name__ else "receiver"
    assert rows == sorted(
        (expected(mail, judged, source) for mail in sent), key=lambda row: row.recipient
    )


def expected(mail, judged, source):
    return Row(
        mail.to,
        *judged[mail.domain],
        original_message_id=mail.message_id,
        campaign=CAMPAIGN,
        trust="proven",  # the server wrote the bounce itself, and handed it over itself
        sources=(source,),
    )
