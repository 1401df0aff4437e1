"""How the workers are set up."""

from datetime import timedelta

from pydantic import Field

from mtabounce.config import Duration, Section, Size


class WorkerSettings(Section):
    """The workers: processes that read inputs, and what one input may cost."""

    processes: int = Field(
        default=0,
        ge=0,
        le=256,
        description="How many read inputs at once; 0: one a processor core.",
    )
    batch: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Inputs that one transaction takes from the inbox.",
    )
    deadline: Duration = Field(
        default=timedelta(seconds=5),
        gt=timedelta(0),
        description="How long one input may take to be read; then it has failed.",
    )
    memory: Size = Field(
        default=512 * 2**20, ge=2**26, description="Memory that reading may take in one process."
    )
