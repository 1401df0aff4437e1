"""Where ``mtabounce pipe`` hands mails to: [pipe] of the configuration."""

from pathlib import Path

from pydantic import Field

from mtabounce.config import Section
from mtabounce.network import Mode


class PipeSettings(Section):
    """Where the command "mtabounce pipe" hands bounces to the daemon."""

    socket: Path | None = Field(
        default=None,
        description="The Unix socket. Absent: pipe.sock in the state directory. Whoever may write"
        " to it is believed to be your own mail server.",
    )
    socket_mode: Mode = Field(
        default=0o600,
        description='Its permissions: "0660" lets its group in, "0666" all who can reach it.',
    )
