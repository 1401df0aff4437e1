"""Whatever becomes of the command behind the pipe, the mail server keeps the bounce."""

import pytest

from tests.live import shipped
from tests.live.failures import ANSWERS, mails, send
from tests.live.fake_mx import FakeMX
from tests.live.processes import wait_until
from tests.live.rows import wait_for_inputs
from tests.live.service import Service

FAILS_FIRST = """\
#!/bin/sh
exec 9>>{folder}/tries
echo try >&9
case $(wc -l <{folder}/tries) in
  1) kill -9 $$ ;;
  2) exit 1 ;;
  3) exec /nonexistent ;;
esac
exec {command} "$@"
"""


@pytest.mark.parametrize("server", [shipped.postfix_by_pipe, shipped.exim_by_pipe])
def test_bounce_is_kept_where_the_command_ends_badly(folder, server):
    (folder / "tries").touch(mode=0o666)
    (folder / "tries").chmod(0o666)
    with (
        FakeMX(ANSWERS) as mx,
        Service(folder / "mtabounce") as service,
        server(folder, mx, service, quick=True) as mta,
    ):
        wrapper, inner = folder / "mtabounce-pipe", folder / "once"
        command = next(
            line for line in wrapper.read_text().splitlines() if line.endswith('pipe "$@"')
        )
        command = command.removesuffix(' "$@"')
        inner.write_text(FAILS_FIRST.format(folder=folder, command=command))
        inner.chmod(0o755)
        wrapper.write_text(wrapper.read_text().replace(command, str(inner)))
        send(mta.address, list(mails(1)))
        wait_for_inputs(service, 1, mta.log)
        wait_until(lambda: not mta.queue(), "the queue is empty", details=mta.log)

        assert len((folder / "tries").read_text().split()) == 4
        assert len(service.query("SELECT FROM mtabounce.inputs")) == 1
