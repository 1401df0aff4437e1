"""Bytes to a judged reading: what workers and ``mtabounce classify`` do with each input. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mtabounce.classify import Classifier
from mtabounce.errors import ConfigError
from mtabounce.model import API, WEBHOOK, HeaderNames, Judged, Outcome, Reading
from mtabounce.parsers import read as read_mail
from mtabounce.providers import Provider, provider
from mtabounce.providers import read as read_webhook
from mtabounce.providers.request import unpack


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads an input and judges each of its reports."""

    classifier: Classifier
    names: HeaderNames = field(default_factory=HeaderNames)
    providers: Mapping[str, Provider] = field(default_factory=dict)  # by the webhook's name

    def judge(self, content: bytes, source: str = "") -> Judged:
        """
        Return what *content* says, with a verdict for each report. Total, as parsing is.

        What came from a webhook (by *source*) is read as its provider writes; all else is a mail.
        """
        reading = self._reading(content, source)
        verdicts = tuple(map(self.classifier.classify, reading.reports))
        return Judged(reading=reading, verdicts=verdicts)

    def _reading(self, content: bytes, source: str) -> Reading:
        if source == API:
            return self._webhook(content, provider(API))
        if not source.startswith(WEBHOOK):
            return read_mail(content, self.names)
        name = source.removeprefix(WEBHOOK)
        try:
            return self._webhook(content, self.providers.get(name) or provider(name))
        except ConfigError:
            note = f"no [webhooks.{name}] says whose it is"[:200]
            return Reading(outcome=Outcome.UNRECOGNIZED, note=note, fingerprint=b"")

    def _webhook(self, content: bytes, whose: Provider) -> Reading:
        headers, body = unpack(content)
        return read_webhook(whose, body, headers, self.names).reading(whose.name, content)
