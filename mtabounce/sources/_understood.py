"""Notices that a log is none, or became one that this program does not understand."""

import logging

from prometheus_client import Gauge

log = logging.getLogger(__name__)

NOT_UNDERSTOOD = Gauge(
    "mtabounce_log_not_understood",
    "1: of the last lines, or deliveries, of a log none was understood.",
    ["log"],
)
LINES = 1000  # in a row that say nothing of a message: that is no log of ours
DELIVERIES = 20  # in a row that cannot be read


class Understood:
    """What of the last lines of the log *label* was understood."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._lines = 0  # since the last that was recognized
        self._deliveries = 0  # since the last that could be read
        self.trouble = ""  # what is wrong now; empty: nothing

    def note(self, lines: int, recognized: int, deliveries: int, unreadable: int) -> None:
        """Note what was found in the next *lines*."""
        self._lines = 0 if recognized else self._lines + lines
        self._deliveries = 0 if deliveries > unreadable else self._deliveries + unreadable
        before, self.trouble = self.trouble, self._said()
        NOT_UNDERSTOOD.labels(self._label).set(bool(self.trouble))
        if self.trouble and not before:
            log.error("%s: %s", self._label, self.trouble)
        elif before and not self.trouble:
            log.warning("%s: it is understood again", self._label)

    def _said(self) -> str:
        if self._deliveries >= DELIVERIES:
            return f"of its last {self._deliveries} deliveries not one could be read"
        if self._lines >= LINES:
            return (
                f"of its last {self._lines} lines not one was understood:"
                " is it the log of Postfix or Exim?"
            )
        return ""
