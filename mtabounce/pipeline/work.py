"""An input in the hands of a worker, or of one who judges it again."""

from collections.abc import Iterable
from typing import NamedTuple

from mtabounce.correlate import Observation, ReturnPath, observe
from mtabounce.model import Judged
from mtabounce.store.inputs import ClaimedInput


class Work(NamedTuple):
    """An input, how it was judged, and what the return paths tell that it came to."""

    taken: ClaimedInput
    judged: Judged | str  # or, in one line, why it could not be judged
    paths: tuple[ReturnPath, ...]

    def observed(self) -> list[Observation]:
        """Return what it says; nothing where it could not be judged."""
        if isinstance(self.judged, str):
            return []
        return observe(self.taken, self.judged, self.taken.id, self.paths)


def work_on(
    taken: Iterable[ClaimedInput],
    judged: Iterable[Judged | str],
    paths: Iterable[tuple[ReturnPath, ...]],
) -> list[Work]:
    """Return the inputs *taken*, each with its own of *judged* and *paths*."""
    return list(map(Work._make, zip(taken, judged, paths, strict=True)))
