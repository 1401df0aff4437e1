"""Exim's bounces and warnings from before it wrote delivery status parts, and of its children."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from mtabounce.address import is_address, parse
from mtabounce.model import Action, Report
from mtabounce.parsers._dialect import complete, failed_recipients, report_of
from mtabounce.parsers._mail import LOOKED_FOR, Findings, Mail, Parser, findings

_STARTS = re.compile(
    r"(?im)^[^\n]*(?:address(?:\(es\)|es)?\s+failed:|following address(?:\(es\)|es)?\s+failed"
    r"|(?:ha(?:s|ve) not yet been delivered|not yet delivered) (?:is|are)(?: as follows)?:"
    r"|ha(?:s|ve) not yet been delivered to[^\n]*:|incorrectly\s+constructed:"
    r"|получателям:|Folgende Adressen? (?:sind|ist) fehlgeschlagen:|error\(s\) occurred:)\s*$"
)
_DELAYED = re.compile(r"(?i)ha(?:s|ve) not yet been delivered|^THIS IS A WARNING")
_RECIPIENT = re.compile(
    r'^ {1,2}["<]?(\S[^\n]*?)[">]?:?[ \t]*$|^<([^<>\n]+)>:?[ \t]*$|^"([^"\n]+)":$'
    r'|^([^\s<>"@:]+@[^\s<>"@:]+):[ \t]*$'
)
_ONE_LINE = re.compile(r"^ {1,2}(\S+@\S+?):? +(\S.*)$")
_MALFORMED = re.compile(
    r"^ {1,2}(\S.*?): ((?:malformed|missing|unmatched|unqualified|domain missing|empty)\b[^\n]+)$"
)
_GENERATED = re.compile(r"(?:generated (?:from|by)|addressed to) ([^\s()]+@[^\s()]+)")
_ORIGIN = re.compile(
    r"(?m)^[ \t]*\((?:ultimately )?(?:generated (?:from|by)|addressed to) [^()\n]*\)[ \t]*\n?"
)
_BRACKETED = re.compile(r"<([^<>\s]+@[^<>\s]+)>")
_LOCAL_DELIVERY = re.compile(r"^(?:pipe to |save to |\||/|:)")
_OUTPUT = re.compile(
    r"(?s)generated during the delivery attempts?:\s*(?:-{6} .{0,400}? -{6}\s*)?(\S.{0,1000})"
)
_REPORTER = re.compile(r"(?im)(?:queue on|SMTP relay on|software on) ([\w.-]+[\w])")
_NAMES = (_MALFORMED, _ONE_LINE, _RECIPIENT)


def _read(mail: Mail) -> Findings | None:
    text = mail.prose[0]
    begun = _STARTS.search(text) if mail.is_notice else None
    if begun is None:
        return None
    action = Action.DELAYED if _DELAYED.search(text) else Action.FAILED
    host = _REPORTER.search(text)
    reports = _reports(mail, text[begun.end() :], action, host[1] if host else "")
    told = islice(reports, LOOKED_FOR)
    return findings({report.final_recipient.lower(): report for report in told}.values())


def _reports(mail: Mail, zone: str, action: Action, host: str) -> Iterator[Report]:
    for name, said in _blocks(zone):
        if address := _address(mail, name, said):
            if _LOCAL_DELIVERY.match(name) and (output := _OUTPUT.search(zone)):
                said = f"{said}\n{output[1]}"
            source = _GENERATED.search(said)
            said = _ORIGIN.sub("", said)
            report = report_of(mail, address, action, said, f"{name}\n{said}")
            original = source[1] if source and source[1] != address else ""
            yield replace(report, original_recipient=original, reporting_mta=host)


def _blocks(zone: str) -> Iterator[tuple[str, str]]:
    """Yield each recipient with the lines under it, which stand further in."""
    name = ""
    lines: list[str] = []
    for line in zone.split("\n"):
        found = next(filter(None, (kind.match(line) for kind in _NAMES)), None)
        if found is None and name and _goes_on(name, lines, line):
            lines.append(line)
            continue
        if name:
            yield name, "\n".join(lines)
        name, lines = "", []
        if found is not None:
            name = next(filter(None, found.groups()))
            lines = [found[2]] if found.re is not _RECIPIENT else []
    if name:
        yield name, "\n".join(lines)


def _goes_on(name: str, lines: list[str], line: str) -> bool:
    """Whether *line* still is about *name*: GMX and 1&1 indent nothing, or leave a line out."""
    if line[:1] in (" ", "\t"):
        return True
    return "@" in name if line.strip() else not lines


def _address(mail: Mail, name: str, said: str) -> str:
    if _LOCAL_DELIVERY.match(name):
        found = _GENERATED.search(said)
        return found[1] if found else next(iter(failed_recipients(mail)), "")
    inner = _BRACKETED.search(name)
    if "malformed" in said and inner:
        return parse(f"<{inner[1]}>")
    return parse(name) if is_address(parse(name)) else complete(mail, name, said, local=True)


PARSER = Parser(
    rank=44,
    read=_read,
    marks=(
        "address(es) failed",
        "following address",
        "not yet been delivered",
        "address failed",
        "incorrectly constructed",
        "incorrectly\nconstructed",
        "addresses failed",
        "получателям",
    ),
)
