"""Sendmail's transcripts: of version 5, and of later ones whose status part was lost."""

import re
from collections.abc import Iterator
from dataclasses import replace

from mtabounce.address import is_address, parse
from mtabounce.model import Action, Report
from mtabounce.parsers._dialect import chunks, complete, report_of
from mtabounce.parsers._mail import LOOKED_FOR, Findings, Mail, Parser, findings

_LIST = re.compile(r"(?im)^[ \t>-]*The following address(?:es|\(es\))? had [^\n]*-*\s*$")
_TRANSCRIPT = re.compile(r"(?im)^[ \t]*-{2,6} ?Transcript of session follows ?-{0,6}")
_END = re.compile(
    r"(?im)^[ \t]*-{2,6} ?(?:Unsent message|Original message|Message header|No message|Returned)"
    r"|^--\S+/\S+$"
)
_LISTED = re.compile(
    r"(?m)^(?:>>> )?[ \t]*(?:<(?P<a>[^<>\n]+)>|(?P<b>\"[^\n]+\"|[^\s()<>\[]+))[ \t]*(?:\["
    r"(?P<r>[^\]\n]+)\]|<[^<>\n]*>|\((?:unrecoverable error|transient failure)\))?[ \t]*$"
)
_SESSION_LIMIT = 4096  # characters of a transcript, which is looked at for each recipient
_EXPANDED = re.compile(r"(?i)\(expanded from:? ?<?([^<>()\s]+)>?\)")
_DETAIL = re.compile(r"\n[ \t]+\((?:reason|expanded from)")  # what only a recipient has
_REASON = re.compile(r"\(reason: ([^\n]*(?:\n {3,}[^\n]*)*)\)")
_RESULT = re.compile(
    r"(?m)^(?P<code>[245]\d\d)[ -](?:(?P<status>[245]\.\d+\.\d+) )?(?P<who><[^<>\n]+>|\S+@\S+?"
    r"|\"[^\n]+?\")?"
    r"(?: \(\w+\))?\.\.\. (?P<said>[^\n]*)"
)
# What the local mailer said before Sendmail gave its own, vaguer verdict.
_PROGRAM = re.compile(r"(?m)^(?:procmail|mail\.local|maildrop|deliver|vacation): [^\n]+")
_DELAYED = re.compile(
    r"(?i)transient (?:non-fatal )?errors|THIS IS A WARNING|could not send mail for past"
)


def _read(mail: Mail) -> Findings | None:
    text = mail.text
    if not mail.is_notice:
        return None
    listed, transcript = _LIST.search(text), _TRANSCRIPT.search(text)
    is_delay = _DELAYED.search(f"{mail.subject}\n{text}") is not None
    action = Action.DELAYED if is_delay else Action.FAILED
    session = _zone(text, transcript)[:_SESSION_LIMIT]
    if listed:
        end = transcript.start() if transcript else len(_before_end(text))
        told = _of_list(mail, text[listed.end() : end], session, action)
        return findings({report.final_recipient.lower(): report for report in told}.values())
    return findings(_of_session(mail, session, action)) if transcript else None


def _zone(text: str, start: re.Match[str] | None) -> str:
    if start is None:
        return ""
    end = _END.search(text, start.end())
    return text[start.end() : end.start() if end else len(text)]


def _before_end(text: str) -> str:
    end = _END.search(text)
    return text[: end.start()] if end else text


def _of_list(mail: Mail, zone: str, session: str, action: Action) -> Iterator[Report]:
    hits = list(_LISTED.finditer(zone))[:LOOKED_FOR]
    for hit, chunk in chunks(hits, zone):
        expanded = _EXPANDED.search(chunk)
        name = hit["a"] or hit["b"]
        if "@" not in name and not _DETAIL.search(chunk):
            continue
        address = complete(mail, name, chunk + session, local="@" not in name)
        if expanded and not is_address(address):
            address = complete(mail, expanded[1], chunk, local=True)
        if address:
            reason = _REASON.search(chunk)
            said = hit["r"] or (f"{reason[1]} {session}" if reason and len(hits) > 1 else session)
            report = report_of(mail, address, action, said or chunk, session)
            yield replace(
                report,
                original_recipient=parse(expanded[1]) if expanded else "",
                diagnostic_code=_with_program(report.diagnostic_code, session),
            )


def _with_program(said: str, session: str) -> str:
    """Return *said* behind what the local mailer said of it in *session*."""
    program = _PROGRAM.search(session)
    return f"{program[0]} {said}" if program and program[0] not in said else said


def _of_session(mail: Mail, session: str, action: Action) -> Iterator[Report]:
    seen, start = set(), 0
    for result in _RESULT.finditer(session):
        address = parse(result["who"] or "")
        talk, start = session[start : result.end()], result.end()
        if address and result["code"] > "4" and address.lower() not in seen:
            seen.add(address.lower())
            talk = talk[max(talk.rfind("While talking to"), 0) :]
            remote = _remote(talk)  # a refusal of theirs is the reason, whatever followed it
            said = remote if remote.startswith("5") else f"{remote} {result[0]}".strip()
            yield report_of(mail, address, action, said, talk)


def _remote(talk: str) -> str:
    replies = [line[4:] for line in talk.split("\n") if line.startswith("<<< ")]
    return " ".join(reply for reply in replies if reply[:1] in "45")


PARSER = Parser(
    rank=50,
    read=_read,
    marks=(
        "transcript of session follows",
        "the following addresses had",
        "the following address had",
    ),
)
