"""What parsers are given, and what they give back."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

from mtabounce.address import parse
from mtabounce.mime import STRUCTURE_LIMIT, TEXT_LIMIT, Headers, Message, Part
from mtabounce.model import Action, HeaderNames, Outcome, Report
from mtabounce.parsers._dates import parse_date
from mtabounce.parsers._prose import split_returned, without_margin

RECIPIENT_LIMIT = 1000  # recorded of one notice; Postfix takes no more for one mail either
LOOKED_FOR = RECIPIENT_LIMIT + 1  # so that it is known that there are more

_RETURNED = frozenset(
    {
        "message/rfc822",
        "message/global",
        "message/global-headers",
        "message/rfc822-headers",
        "message/partial",
        "text/rfc822-headers",
        "text/rfc822",
    }
)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){3,}")  # patterns would take long over many of them
_READABLE = frozenset({"text/plain", "text/html"})
_DAEMONS_LOCAL_PART = re.compile(
    r"(?i)(?:mailer[-_.]?daemon|post[-_]?master|bounces?|mail[-_.]?delivery|mailerdaemon|mdaemon|(?<![\w-])daemon)"
    r"[^@\s]*(?:@|>|$|\s)|mail delivery (?:sub)?system|system administrator"
    r"|microsoftexchange[0-9a-f]{32}@|<>\s*$|^[ \t]*$"
)
_DAEMON = re.compile(
    r"(?i)(?:mailer[-_ .]?daemon|post_?master|mail[-_ ]?deliver|mail[-_ ]?daemon|mail[-_ ]?admin"
    r"|deliver(?:y|ies)[-_ ]|system admin|mdaemon|non-?delivery|bounce|daemon@|virus"
    r"|microsoftexchange[0-9a-f]{32}@|e500_smtp|mail service|imss|interscan|returned ?mail"
    r"|undeliver)"
)
_OF_LISTS = (b"list-id", b"list-post", b"list-unsubscribe")
_NO_REPLY = re.compile(r"(?i)no-?reply@")
_NEWS_OF_FAILURE = re.compile(
    r"(?i)(?:undeliver|deliver\w* (?:status|fail|problem|report|error|notif|delay|has fail)"
    r"|fail\w* (?:notice|deliver|mail)|returned mail|mail (?:deliver|fail|system error|could)"
    r"|return(?:ed|ing)? (?:message )?to sender|non[- ]?deliver|not delivered|bounce"
    r"|could not (?:be )?(?:deliver|send)|unzustellbar|rejected|(?:delayed|rejected) mail|warning"
    r"|message status|processing error|mail error|unknown user|user unknown|nicht zugestellt"
    r"|не\s*доставлен|недоставл|配信|不达|退信|エラー|non remis|mancato recapito"
    r"|no se (?:puede|pudo)|n[ãa]o entregue|unable to deliver)"
)
_QUOTED_HEADERS = re.compile(r"(?m)^(?:[A-Za-z][\w-]*:[^\n]*\n(?:[ \t]+\S[^\n]*\n)*){2,}")
# A refusal that asks the sender to do something to be let in: nothing is said of the recipient.
_CHALLENGED = re.compile(
    r"(?i)requires? (?:sender )?confirmation|confirm (?:that )?you(?:'re| are) (?:an? )?(?:human"
    r"|real|person)"
    r"|challenge[-/ ]response|to be added to (?:my|the recipient's) (?:guest|allow|white) ?list"
)
_FORWARD = re.compile(r"(?i)\s*(?:fwd?|wg|tr|doorst|i)\s*:")
_MAIL_FROM = re.compile(r"(?im)^original-mail-from:[ \t]*(\S{1,320})")  # RFC 5965 §3.2
_MESSAGE_ID = re.compile(r"<?([^<>\s]+@[^<>\s]*|[^<>\s]+)>?")
_OWN_RECEIVED = re.compile(
    rb"(?i)\s*(?:by \S+ \(Postfix\)\s+id "  # Postfix's own; a user's says (Postfix, from userid)
    rb"|from (?:debian-exim|exim4?|mailnull|mail) by \S+ with local "  # Exim's own
    rb"|from localhost \(localhost\)\s+by \S+ \([\w./+-]+\)\s+id "  # sendmail's own
    rb"|\((?:qmail|haraka) \d+ invoked for bounce\)"
    rb"|\(haraka outbound\)"
    rb"|from mailer-daemon\s+id \S+\s+by \S+ \(dragonfly"
    rb"|from localhost \(localhost \[127\.0\.0\.1\]\)\s+\([^()\n]*rfc1894[^()\n]*\)\s+"
    rb"by \S+ with dsn\s)"  # Courier's own
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one parser found in a mail."""

    outcome: Outcome
    reports: tuple[Report, ...] = ()
    is_cut: bool = False  # whether it named more than RECIPIENT_LIMIT recipients


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """One dialect: when to try it, and how to read it."""

    rank: int  # lower ones are tried first
    read: Callable[["Mail"], Findings | None]  # None: it is not this dialect
    marks: tuple[str, ...] = ()  # one of them stands in the mail's text, in lower case; (): any


class Mail(Message):
    """A mail with what several parsers ask of it, found when asked, once."""

    def __init__(
        self, content: bytes, names: HeaderNames, limit: int = STRUCTURE_LIMIT, depth: int = 0
    ) -> None:
        super().__init__(content, limit)
        self.names = names
        self.depth = depth  # mails that it is inside of

    @cached_property
    def subject(self) -> str:
        """The subject as text."""
        return self.headers.get(b"subject")

    @cached_property
    def sender(self) -> str:
        """The From header as text."""
        return self.headers.get(b"from")

    @cached_property
    def returned(self) -> Part | None:
        """The part that holds the mail that was sent, or its headers."""
        return next((part for part in self.parts if part.type in _RETURNED), None)

    @cached_property
    def text(self) -> str:
        """What a person reads, up to the returned mail; HTML only where there is no plain text."""
        shown = []
        for part in self.parts:
            if part.type in _RETURNED:
                break
            if part.type in _READABLE:
                shown.append(part)
        plain = [part for part in shown if part.type == "text/plain"]
        text = "\n".join(part.text for part in plain or shown)
        return _BLANK_LINES.sub("\n\n\n", without_margin(text))

    @cached_property
    def prose(self) -> tuple[str, str]:
        """The readable text, parted where a returned mail begins in it."""
        return split_returned(self.text)

    @cached_property
    def is_daemons(self) -> bool:
        """Whether a mail system signs it, or nobody does: then it is no person's answer."""
        return (
            b"x-failed-recipients" in self.headers
            or _DAEMONS_LOCAL_PART.search(self.sender) is not None
        )

    @cached_property
    def is_notice(self) -> bool:
        """Whether it is a mail system's own notice by all that its headers say."""
        is_null = self.headers.raw(b"return-path").strip() == b"<>"
        return (
            self.is_daemons
            or self.type == "multipart/report"
            or (is_null and _NEWS_OF_FAILURE.search(self.subject) is not None)
        )

    @cached_property
    def is_automatic(self) -> bool:
        """Whether anything says that a mail system wrote it, and that it may be a bounce."""
        headers = self.headers
        return (
            self.type == "multipart/report"
            or headers.raw(b"return-path").strip() == b"<>"
            or b"x-failed-recipients" in headers
            or _DAEMON.search(self.sender) is not None
            or (_NEWS_OF_FAILURE.search(self.subject) is not None and not self.is_talk)
            or not self.sender.strip(" <>")
        )

    @cached_property
    def is_talk(self) -> bool:
        """Whether a person wrote it, or a list passed it on: mail systems write as nobody."""
        path = parse(self.headers.get(b"return-path"))
        is_of_list = any(name in self.headers for name in _OF_LISTS)
        return bool(path) and (is_of_list or path == parse(self.sender))

    @property
    def is_unread(self) -> bool:
        """Whether what tells of the recipients goes on behind the bytes that were read."""
        return self.is_cut and self.returned is None and not self.prose[1]

    @property
    def is_text_cut(self) -> bool:
        """Whether its text goes on behind what was read of it, and names recipients perhaps."""
        texts = [part for part in self.parts if part.type in _READABLE]
        return not self.prose[1] and any(len(part.body) > TEXT_LIMIT for part in texts)

    @property
    def is_robots(self) -> bool:
        """Whether a machine signs it at all; most of what such addresses send is no notice."""
        return self.is_automatic or _NO_REPLY.search(self.sender) is not None

    @cached_property
    def is_forward(self) -> bool:
        """Whether a person passed it on, as the subject says."""
        return _FORWARD.match(self.subject) is not None

    @cached_property
    def relayed(self) -> bool:
        """Whether some other host handed it to the MTA that we had it from, or might have."""
        received = self.headers.all_raw(b"received")
        return not received or not all(map(_OWN_RECEIVED.match, received))

    @property
    def arrived_at(self) -> datetime | None:
        """When the last server that had it took it, as the topmost Received says."""
        received = self.headers.raw(b"received") or b""
        return parse_date(received.rpartition(b";")[2].decode("ascii", "replace"))

    @cached_property
    def returned_headers(self) -> Headers | None:
        """The headers of the mail that is returned; None where it is not."""
        if self.returned is not None:
            return Headers(_head_of(self.returned))
        return self.quoted_headers if self.prose[1] else None

    @cached_property
    def sent_to(self) -> str:
        """The To header of the mail that is returned; "" where it is not."""
        headers = self.returned_headers
        return "" if headers is None else headers.get(b"to")

    @cached_property
    def return_paths(self) -> tuple[str, ...]:
        """The return paths that the returned mail had: by its header, and as a complaint says."""
        headers = self.returned_headers
        texts = [] if headers is None else [headers.get(b"return-path")]
        for part in self.parts:
            if part.type == "message/feedback-report":
                texts += _MAIL_FROM.findall(part.text)[:1]
        return tuple(path for text in texts if text and (path := parse(text)))

    @cached_property
    def original(self) -> dict[str, Any]:
        """The fields of a report that the returned headers give."""
        headers = self.returned_headers
        return {} if headers is None else self.original_of(headers)

    @cached_property
    def quoted_headers(self) -> Headers:
        """The headers of a mail that is returned inside the readable text."""
        found = _QUOTED_HEADERS.search(self.prose[1])
        return Headers(found[0].encode() if found else b"")

    def original_of(self, headers: Headers) -> dict[str, Any]:
        """Return the fields of a report that *headers*, of a returned mail, give."""
        return {
            "original_message_id": message_id(headers.get(b"message-id")),
            "original_from": headers.get(b"from"),
            "original_subject": headers.get(b"subject"),
            "original_date": parse_date(headers.get(b"date")) if b"date" in headers else None,
            "campaign": _first(headers, self.names.campaign),
            "subscriber": _first(headers, self.names.subscriber),
            "list_id": headers.get(b"list-id"),
            "feedback_id": headers.get(b"feedback-id"),
        }


def _head_of(part: Part) -> bytes:
    data = part.data.lstrip(b"\n")
    return data.partition(b"\n\n")[0]


def _first(headers: Headers, names: Iterable[str]) -> str:
    for name in names:
        if value := headers.get(name.lower().encode()):
            return value
    return ""


def message_id(text: str) -> str:
    """Return a Message-ID without its angle brackets."""
    found = _MESSAGE_ID.search(text)
    return found[1] if found else ""


def outcome_of(action: Action | None) -> Outcome:
    """Return what kind of news an action is; a bounce where nothing is said."""
    if action is Action.DELAYED:
        return Outcome.DELAYED
    if action in (Action.DELIVERED, Action.RELAYED, Action.EXPANDED):
        return Outcome.DELIVERED
    return Outcome.BOUNCE


_WEIGHTS = (
    Outcome.COMPLAINT,
    Outcome.BOUNCE,
    Outcome.DELAYED,
    Outcome.DELIVERED,
    Outcome.CHALLENGE,
    Outcome.AUTO_REPLY,
)


def findings(reports: Iterable[Report]) -> Findings | None:
    """Return *reports* with the weightiest of their outcomes; None where there are none."""
    told = tuple(islice(reports, LOOKED_FOR))
    kept = told[:RECIPIENT_LIMIT]
    outcome = weightiest(kept)
    return Findings(outcome=outcome, reports=kept, is_cut=told != kept) if outcome else None


def weightiest(reports: Collection[Report]) -> Outcome | None:
    """Return the outcome that stands for all of *reports*; None where there are none."""
    outcomes = {report.outcome for report in reports}
    return next((outcome for outcome in _WEIGHTS if outcome in outcomes), None)


def polish(report: Report) -> Report:
    """Return *report*, as a challenge where its refusal asks the sender to prove himself."""
    if report.outcome is Outcome.BOUNCE and _CHALLENGED.search(report.diagnostic_code):
        return replace(report, outcome=Outcome.CHALLENGE)
    return report
