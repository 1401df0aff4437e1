"""
Who is told what happened: a way of telling a module, found by being there.

A module declares one ``SINK``. Messages come from the outbox, where they were written in the
transaction that they tell of; they are sent at least once, and in order for each address.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mtabounce.registry import discover
from mtabounce.sinks._settings import SinkSettings
from mtabounce.store.outbox import Message

__all__ = ["Kind", "NotTaken", "SinkSettings", "kinds"]


class NotTaken(Exception):
    """The other side did not take a message; it is tried again, later."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A way of telling: *send* returns once the other side has it, and raises NotTaken."""

    send: Callable[[SinkSettings, Message], Awaitable[None]]


def kinds() -> dict[str, Kind]:
    """Return all ways of telling, by their names."""
    return discover(__name__, Kind)
