"""
The errors that cross module borders.

    MtabounceError
    ├── TryAgainLater        the input may be fine, but cannot be made durable now
    │   └── StoreUnavailable     PostgreSQL cannot be asked now
    ├── InputRejected        the input can never be accepted: refuse it for good
    ├── ConfigError          a setting is wrong: say which, and how to mend it
    │   ├── SchemaMismatch       the database is older or newer than this program
    │   ├── Occupied             what a setting names is not to be had now
    │   └── DiskTrouble          the disk that a setting names takes nothing now
    └── UsageError           a command was called with something it cannot use

Each class knows what to tell an SMTP client and a parent process.
"""

import os
from typing import ClassVar


class MtabounceError(Exception):
    """Base class. Both numbers tell the sender what to do next."""

    smtp_reply: ClassVar[str] = "451 4.3.0 try again later"
    exit_code: ClassVar[int] = os.EX_SOFTWARE  # sysexits(3), which pipe(8) and Exim understand


class TryAgainLater(MtabounceError):
    """The input may be fine, but it cannot be made durable now: keep it and retry."""

    exit_code = os.EX_TEMPFAIL


class StoreUnavailable(TryAgainLater):
    """PostgreSQL cannot be reached, or cannot take writes now."""

    exit_code = os.EX_UNAVAILABLE


class InputRejected(MtabounceError):
    """The input can never be accepted: too large, or not for us."""

    smtp_reply = "550 5.7.1 not accepted here"
    exit_code = os.EX_DATAERR


class ConfigError(MtabounceError):
    """A setting is wrong. The message is one line: where, what, and how to mend it."""

    exit_code = os.EX_CONFIG


class SchemaMismatch(ConfigError):
    """The database's schema is older or newer than this program, until somebody changes one."""

    exit_code = os.EX_TEMPFAIL


class Occupied(ConfigError):
    """What a setting names is held by another program, or not there yet: it may be, later."""

    exit_code = os.EX_TEMPFAIL


class DiskTrouble(ConfigError):
    """The disk that a setting names is full or read-only, or files run out: not for ever."""

    exit_code = os.EX_TEMPFAIL


class UsageError(MtabounceError):
    """A command was called with something it cannot use, such as a file that is not there."""

    exit_code = os.EX_USAGE


def brief(error: BaseException) -> str:
    """Return what *error* says, in one line; its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:500]
