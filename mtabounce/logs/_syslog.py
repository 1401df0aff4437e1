r"""
What stands before a log message: the envelopes of syslog, and how journald is made like one.

A format's pattern is HEAD, a tag, BODY and its own words, in this order, from the start of a line
(``\n``): nothing that a remote host says can move into a place left of where it stands.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

# These run over millions of lines: characters are spelled out, as "[0-9]" is looked up at once and
# "\d" is not; what is rarely there stands as "(?:|x)", which is tried last, where "(?:x)?" would
# prepare for more each time. What comes next can never begin with what a repeat takes, so the
# repeats give nothing back ("++").
BLANKS = rb" \t\n\r\f\v"
# RFC 3164 ("Nov  3 01:02:03", with a fraction in journalctl's short-precise), RFC 3339 as rsyslog
# and journalctl's short-iso write it, RFC 5424 ("<22>1 …"); "<mail.info>" is FreeBSD's.
_CLOCK = rb"[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
STAMP = (
    rb"[A-Z][a-z]{2} {1,2}[0-9]{1,2}+ " + _CLOCK + rb"(?:|\.[0-9]{1,9}+)"
    rb"|[0-9]{4}-[0-9][0-9]-[0-9][0-9][T ]" + _CLOCK
    + rb"(?:|[.,][0-9]{1,9}+)(?:[+-][0-9][0-9]:?[0-9][0-9]|Z|)"
)  # fmt: skip
# A name, an address, or syslog-ng's chain of them; not just any word: in a log of Exim's own the
# stamp is followed by what strangers have a word in, as in "H=(their HELO)".
HOST = rb"[0-9A-Za-z_.:%@/~\[\]-]{1,255}+"
PRIORITY = rb"(?:|<[0-9]{1,3}>(?:|1 )|1 )"
HEAD = rb"\n" + PRIORITY + rb"(" + STAMP + rb") (?:|<\w+\.\w+> )"  # the host follows
# "[pid]: " or RFC 5424's " procid msgid data "; "[ID 197553 mail.info] " is Solaris's. rsyslog may
# keep the blank that stood before the message, so that there are two.
_DATA = rb'\[(?:[^\]"\n]|"(?:[^"\\\n]|\\.)*+")*+\]'
BODY = (
    rb"(?:(?:\[[0-9]++\]|): (?:| )(?:|\[ID \d+ \S+\] )"
    rb"| (?:[0-9]++|-) \S{1,32}+ (?:-|(?:" + _DATA + rb")+) {1,2}(?:|\xef\xbb\xbf))"
)
# rsyslog and BSD's syslogd put equal messages together, with a bracket at the end.
REPEATED = rb"(?:|(message repeated \d+ times: \[(?:| )))"
_TIMES = re.compile(rb"\d+")
_FOREIGN_UNITS = ("user@", "session-")  # where people's own processes run, logger(1) for one
_SYSTEM = ("/usr/", "/opt/", "/bin/", "/sbin/", "/lib/", "/nix/store/", "/gnu/store/")
# Programs of the mail servers, and those that hand on what came from other hosts.
_PROGRAMS = frozenset(
    (
        "smtp", "lmtp", "local", "virtual", "pipe", "error", "discard", "retry", "qmgr", "nqmgr",
        "oqmgr", "cleanup", "postsuper", "master", "postlogd", "rsyslogd", "syslog-ng",
    )
)  # fmt: skip
_PEOPLE = range(1000, 65534)  # user ids


def times_of(repeated: bytes) -> int:
    """Return how often the message was logged, by what the group of REPEATED matched."""
    found = _TIMES.search(repeated)
    return int(found[0]) if found else 1


def from_journal(chunk: bytes) -> bytes:
    """
    Return lines of ``journalctl -o json`` as lines of RFC 3339 syslog.

    A line that is no such entry becomes an empty one, so that the lines still count the same.
    """
    return b"".join(line + b"\n" for line in _entries(chunk))


def is_journal(chunk: bytes) -> bool:
    """Tell whether *chunk* is made of journal entries."""
    return chunk.startswith(b"{") and b'"__REALTIME_TIMESTAMP"' in chunk[:65536]


def _entries(chunk: bytes) -> Iterator[bytes]:
    for line in chunk.splitlines():
        try:
            yield _line(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            yield b""


def _line(entry: dict[str, Any]) -> bytes:
    tag = str(entry["SYSLOG_IDENTIFIER"])
    if not _is_of_a_mail_server(tag, entry):
        return b""
    at = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1_000_000, tz=UTC)
    host = str(entry.get("_HOSTNAME") or "-").replace(" ", "-")
    pid = str(entry.get("SYSLOG_PID") or entry.get("_PID") or "0")
    head = f"{at.isoformat(timespec='microseconds')} {host} {tag}[{pid}]: "
    return (head.encode() + _message(entry["MESSAGE"])).replace(b"\n", b" ")


def _is_of_a_mail_server(tag: str, entry: dict[str, Any]) -> bool:
    """
    Tell whether a mail server wrote *entry*, by what journald itself knows of the writer.

    Any user may choose a tag, and call a program of his own "smtp"; but not put it into /usr.
    Postfix's master starts its programs, and no person's session does. What ended at once, as
    Exim may, has no name in the journal, but it has a user.
    """
    if "/" in tag and str(entry.get("_SYSTEMD_UNIT", "")).startswith(_FOREIGN_UNITS):
        return False
    if path := entry.get("_EXE"):
        return str(path).startswith(_SYSTEM) and _is_program(str(path).rpartition("/")[2])
    if name := entry.get("_COMM"):
        return _is_program(str(name))
    user = int(entry.get("_UID") or 0)
    return user == 0 or ("/" not in tag and user not in _PEOPLE)


def _is_program(name: str) -> bool:
    return name in _PROGRAMS or name.startswith("exim")


def _message(value: str | list[int]) -> bytes:
    """Journald gives what is no valid UTF-8 as a list of bytes."""
    return bytes(value) if isinstance(value, list) else value.encode(errors="replace")
