"""Bytes to a judged reading: what workers and ``mtabounce classify`` do with each mail. Pure."""

from dataclasses import dataclass, field

from mtabounce.classify import Classifier
from mtabounce.model import Judged
from mtabounce.parsers import HeaderNames, read


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads a mail and judges each of its reports."""

    classifier: Classifier
    names: HeaderNames = field(default_factory=HeaderNames)

    def judge(self, content: bytes) -> Judged:
        """Return what *content* says, with a verdict for each report. Total, as parsing is."""
        reading = read(content, self.names)
        verdicts = tuple(map(self.classifier.classify, reading.reports))
        return Judged(reading=reading, verdicts=verdicts)
