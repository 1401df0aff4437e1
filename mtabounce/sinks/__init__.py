"""
Who is told what happened: one module for each way of telling.

A module declares one ``SINK``. Messages come from the outbox, where they were written in the
transaction that they tell of; they are sent at least once, and in order for each address.
"""

from mtabounce.sinks._settings import Kind, SinkSettings, kinds

__all__ = ["Kind", "NotTaken", "SinkSettings", "kinds"]


class NotTaken(Exception):
    """The other side did not take a message; it is tried again, later."""
