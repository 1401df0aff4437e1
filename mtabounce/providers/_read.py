"""Reads what a provider posted: pure, and total on any bytes."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from jmespath.exceptions import JMESPathError

from mtabounce.model import Action, EnhancedStatus, HeaderNames, Outcome, Reading, Report
from mtabounce.providers import _values as values
from mtabounce.providers._body import decode
from mtabounce.providers._table import FAILED, HINTS, IGNORE, WORDS, Provider

MAX_EVENTS = 20_000  # in one request; the largest batches that are documented have 1,000
_RANKS = [
    Outcome.BOUNCE, Outcome.COMPLAINT, Outcome.UNSUBSCRIBE, Outcome.SUPPRESSED, Outcome.DELAYED,
    Outcome.CHALLENGE, Outcome.AUTO_REPLY, Outcome.DELIVERED,
]  # fmt: skip
_ACTIONS = {Outcome.BOUNCE: Action.FAILED, Outcome.DELAYED: Action.DELAYED,
            Outcome.DELIVERED: Action.DELIVERED}  # fmt: skip
UNREADABLE = "unreadable"  # why nothing of a body is used; the event is what is wrong with it
_NOT_USED = (UNREADABLE, "unknown event", "bad element", "no recipient", "several recipients",
             "too many")  # fmt: skip
_DEFAULT_NAMES = HeaderNames()


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that makes no report."""

    event: str  # the provider's word for it
    why: str  # one of _NOT_USED, or "not about delivery", "never sent"


@dataclass(frozen=True, slots=True)
class Said:
    """All that one request says."""

    reports: tuple[Report, ...] = ()
    ignored: tuple[Ignored, ...] = ()

    def reading(self, provider: str, content: bytes) -> Reading:
        """Return it as what the judge takes; *content* is what it was read from."""
        return Reading(
            outcome=self._outcome(),
            reports=self.reports,
            parser=f"provider:{provider}",
            fingerprint=hashlib.sha256(content).digest()[:16],
            relayed=False,
            note=self._note(),
        )

    def _outcome(self) -> Outcome:
        found = {report.outcome for report in self.reports}
        gravest = next((each for each in _RANKS if each in found), None)
        return gravest or (Outcome.UNRECOGNIZED if self._note() else Outcome.IGNORED)

    def _note(self) -> str:
        lost = Counter(f"{one.why}: {one.event}" for one in self.ignored if one.why in _NOT_USED)
        return "; ".join(f"{why[:200]} ×{count}" for why, count in lost.most_common(5))


def read(
    provider: Provider,
    content: bytes,
    headers: Mapping[str, str],
    names: HeaderNames = _DEFAULT_NAMES,
) -> Said:
    """
    Return what *content* says; *headers* have lower-case names. Total: it never raises.

    *names* are those under which the sender attached campaign and subscriber to a mail.
    """
    try:
        document = decode(provider.table.body, content, headers)
    except ValueError as error:
        return Said(ignored=(Ignored(str(error)[:200], UNREADABLE),))
    reports: list[Report] = []
    ignored: list[Ignored] = []
    events = _events(provider, document)
    if more := len(events[MAX_EVENTS:]):
        ignored.append(Ignored(f"{more} events after the first {MAX_EVENTS}", "too many"))
    for item in _items(events[:MAX_EVENTS], document, headers):
        try:
            found = list(_one(provider, item, names))
        except (JMESPathError, RecursionError, ValueError, TypeError, KeyError) as error:
            found = [Ignored(type(error).__name__, "bad element")]
        reports += [one for one in found if isinstance(one, Report)]
        ignored += [one for one in found if isinstance(one, Ignored)]
    return Said(tuple(reports), tuple(ignored))


def _events(provider: Provider, document: Any) -> list[Any]:
    try:
        found = provider.paths["items"].search(document)
    except (JMESPathError, RecursionError):
        found = None
    return found if isinstance(found, list) else [found]


def _items(events: list[Any], document: Any, headers: Mapping[str, str]) -> Iterator[Any]:
    """Yield each event with what stands around it; what is no object comes as it is."""
    for item in events:
        around = {"_body": document, "_headers": headers, "_recipient": None}
        yield {**item, **around} if isinstance(item, dict) else item


def _one(provider: Provider, item: Any, names: HeaderNames) -> Iterator[Report | Ignored]:
    if not isinstance(item, dict):
        yield Ignored(type(item).__name__, "bad element")
        return
    key = "/".join(values.text(part.search(item)) for part in provider.key)
    word = provider.meaning(key)
    if word in (None, IGNORE, FAILED):
        why = {None: "unknown event", IGNORE: "not about delivery", FAILED: "never sent"}[word]
        yield Ignored(key.rstrip("/"), why)
        return
    yield from _reports(provider, item, key, word or "", names)


def _reports(
    provider: Provider, item: dict[str, Any], key: str, word: str, names: HeaderNames
) -> Iterator[Report | Ignored]:
    recipients = provider.paths["recipients"].search(item)
    several = recipients if isinstance(recipients, list) else [recipients]
    if provider.table.single and len(several) > 1:
        yield Ignored(key.rstrip("/"), "several recipients")
        return
    if not several:
        yield Ignored(key.rstrip("/"), "no recipient")
    whole = cache(partial(_canonical, item))
    for one in several:
        facts = _Facts(provider, {**item, "_recipient": one}, whole)
        report = _report(facts, key, word, names)
        named = report.final_recipient or report.subscriber
        yield report if named else Ignored(key.rstrip("/"), "no recipient")


class _Facts:
    """Looks things up in one event."""

    def __init__(self, provider: Provider, scope: dict[str, Any], event: Callable[[], str]) -> None:
        self.provider = provider
        self.scope = scope
        self.event = event  # all of it, as text

    def get(self, name: str) -> Any:
        found = self.whole(name)
        return found[0] if isinstance(found, list) and found else found

    def whole(self, name: str) -> Any:
        return self.provider.paths[name].search(self.scope)

    def reply(self) -> str:
        """Return what the server said, without what the provider wrote around it."""
        told = values.text(self.get("reply"))
        pattern = self.provider.reply_in
        found = pattern.search(told) if pattern and told else None
        return values.reply(found[1] if found else told)

    def attached(self) -> dict[str, str]:
        """Return what the sender attached to the mail, names in lower case without marks."""
        found: dict[str, str] = {}
        for path in self.provider.meta:
            for name, value in _pairs(path.search(self.scope)):
                found.setdefault(_plain(name.removeprefix("header_")), value)  # PowerMTA's columns
        return found


def _report(facts: _Facts, key: str, word: str, names: HeaderNames) -> Report:
    outcome = WORDS.get(word, Outcome.BOUNCE)
    attached = facts.attached()
    message_id = values.identifier(facts.get("message_id"))
    code = facts.get("reply_code")
    report = Report(
        outcome=outcome,
        final_recipient=values.address(facts.get("recipient")),
        action=_ACTIONS.get(outcome),
        status=_status(facts.get("status"), code),
        reply_code=values.reply_code(code),
        diagnostic_code=facts.reply(),
        command=values.text(facts.get("command"))[:20],
        remote_mta=values.text(facts.get("remote_mta"))[:255],
        reporting_mta=facts.provider.name if message_id else "",
        queue_id=message_id,
        original_message_id=values.identifier(facts.get("original_message_id")),
        original_subject=values.text(facts.get("subject")),
        campaign=_named(attached, names.campaign) or values.text(facts.get("campaign")),
        subscriber=_named(attached, names.subscriber) or values.text(facts.get("subscriber")),
        feedback_type=values.text(facts.get("feedback_type")),
        source=values.text(facts.get("source"))[:200],
        meta=values.as_json(facts.whole("attached")),
        native_code=key.rstrip("/"),
        occurred_at=values.moment(facts.get("at")),
        hint=HINTS.get(word, word) if outcome is Outcome.BOUNCE else "",
    )
    return _with_identity(facts, report)


def _with_identity(facts: _Facts, report: Report) -> Report:
    """Mark *report*: repeated with a new id, it is about the same thing at the same second."""
    at = report.occurred_at
    told = [
        facts.provider.name, report.queue_id or report.original_message_id,
        report.final_recipient.lower(), report.outcome, report.native_code,
        str(int(at.timestamp())) if at else "", report.diagnostic_code,
    ]  # fmt: skip
    if not (told[1] and at):
        told.append(values.text(facts.get("event_id")) or facts.event())
    mark = hashlib.sha256("\0".join(told).encode(errors="replace")).digest()[:16]
    return replace(report, mark=mark)


def _canonical(scope: Mapping[str, Any]) -> str:
    own = {name: value for name, value in scope.items() if name not in ("_body", "_headers")}
    return json.dumps(own, sort_keys=True, default=str)


def _status(value: Any, code: Any) -> EnhancedStatus | None:
    """Return the status; some providers write it where the reply code should be."""
    return EnhancedStatus.find(values.text(value)) or EnhancedStatus.find(values.text(code))


def _pairs(value: Any) -> Iterator[tuple[str, str]]:
    """Yield names and values of an object, a list of pairs, or either as JSON in a text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, values.text(inner[0] if isinstance(inner, list) and inner else inner)
    elif isinstance(value, list):
        yield from _listed(value)


def _listed(value: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for one in value:
        if isinstance(one, dict):
            name = one.get("name", one.get("key"))
            if isinstance(name, str):
                yield name, values.text(one.get("value"))
        elif isinstance(one, list) and len(one) == 2 and isinstance(one[0], str):
            yield one[0], values.text(one[1])


def _named(attached: Mapping[str, str], names: Sequence[str]) -> str:
    return next((found for name in names if (found := attached.get(_plain(name), ""))), "")


def _plain(name: str) -> str:
    """SendGrid flattens X-Listmonk-Campaign to XListmonkCampaign."""
    return "".join(letter for letter in name.lower() if letter.isalnum())
