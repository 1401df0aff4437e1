"""The classifier: reports in, verdicts out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from mtabounce.classify import blame
from mtabounce.classify import evidence as evidence_of
from mtabounce.classify.evidence import Evidence
from mtabounce.classify.index import Found, Index
from mtabounce.classify.operators import Operators
from mtabounce.classify.rule import Rule, RuleFile, rule_files
from mtabounce.errors import ConfigError
from mtabounce.model import BounceType, Fault, Outcome, Report, Verdict
from mtabounce.reasons import Reason, load_reasons

SHIPPED = Path(__file__).parent.parent / "rules"

_NO_CAUSES = {"undetermined", "expired", "delayed"}
PROVIDER_RULE = "provider"  # in place of a rule, where an ESP's word decided
_VAGUE = "-vague.toml"  # rules that leave it open
_OUR_FAULTS = (Fault.SENDER, Fault.CONTENT)


class Classifier:
    """Judges reports by rules. It is immutable, and shared by threads and forks freely."""

    def __init__(
        self, rules: Sequence[Rule], reasons: Mapping[str, Reason], operators: Operators
    ) -> None:
        self.rules = rules
        self.reasons = reasons
        self.operators = operators
        self._index = Index(rules, operators)
        self._blaming = {
            name
            for name, reason in reasons.items()
            if reason.fault is Fault.RECIPIENT
            or (reason.fault is Fault.DESTINATION and reason.type is BounceType.HARD)
        }
        self._vague = {_NO_RULE.id} | {rule.id for rule in rules if rule.file.endswith(_VAGUE)}

    def classify(self, report: Report) -> Verdict:
        """Return the verdict on *report*; its status and reply code are the effective ones."""
        seen = evidence_of.of_report(report)
        verdict = self._judge(seen)
        hint = self.reasons.get(report.hint)
        return self._hinted(verdict, hint, seen) if hint else verdict

    def classify_reply(self, text: str) -> Verdict:
        """Return the verdict on an SMTP reply, of which no more than the *text* is known."""
        return self._judge(evidence_of.of_reply(text))

    def matches(self, report: Report) -> list[Found]:
        """Return every rule that fits *report*, the deciding one first."""
        seen = evidence_of.of_report(report)
        found = list(self._index.all(seen))
        blames = bool(found) and self._blames(found[0][0], seen)
        return list(self._of_ours.all(seen)) if blames else found

    def _blames(self, rule: Rule, seen: Evidence) -> bool:
        """Whether *rule* blames the recipient for what was said of us."""
        return rule.reason in self._blaming and blame.is_ours(seen)

    @cached_property
    def _of_ours(self) -> Index:
        """The rules for answers that cannot be the recipient's fault."""
        rules = [rule for rule in self.rules if rule.reason not in self._blaming]
        return Index(rules, self.operators)

    def _hinted(self, verdict: Verdict, hint: Reason, seen: Evidence) -> Verdict:
        """
        Let an ESP's word decide where the reply leaves it open.

        That it is our fault, or the content's, it knows better in any case: it suppresses nobody.
        """
        ours = verdict.fault in _OUR_FAULTS
        if ours or (hint.fault not in _OUR_FAULTS and verdict.rule not in self._vague):
            return verdict
        return verdict._replace(
            type=_type(hint, seen),
            reason=hint.name,
            fault=hint.fault,
            rule=PROVIDER_RULE,
            matched="",
        )

    def _judge(self, seen: Evidence) -> Verdict:
        is_delay = seen.outcome is _DELAYED
        found = (self._cause_of_delay(seen) if is_delay else None) or self._index.first(seen)
        rule, words = found or _NOT_FOUND
        if self._blames(rule, seen):
            rule, words = self._of_ours.first(seen) or _NOT_FOUND
        reason = self.reasons[rule.reason]
        kind = _type(reason, seen)
        return Verdict(
            kind, reason.name, reason.fault, rule.id, seen.status, seen.reply_code, words
        )

    def _cause_of_delay(self, seen: Evidence) -> Found | None:
        """Return what a delay would be, had it failed; None where that says no more."""
        found = self._index.first(replace(seen, outcome=Outcome.BOUNCE))
        if found is None or self.reasons[found[0].reason].name in _NO_CAUSES:
            return None
        return found


def load(local: Path | None = None, types: Mapping[str, str] | None = None) -> Classifier:
    """
    Load the rules: the user's own of the folder *local* first, then ours.

    An ``operators.toml`` in *local* adds operators, or domains of ours.
    *types* maps reasons to other types than ours: hard, soft, complaint, none. Raises ConfigError
    where a file, a reason or a type is not right; the message says where, and what was meant.
    """
    reasons = load_reasons(SHIPPED / "reasons.toml", types)
    operators = load_operators(local)
    own = read_rules(local, reasons, operators, own=True) if local else []
    rules = [*own, *read_rules(SHIPPED, reasons, operators, own=False)]
    _refuse_twins(rules)
    return Classifier(rules, reasons, operators)


def load_operators(local: Path | None = None) -> Operators:
    """Load who runs which mail servers: ours, then those of the user's folder *local*."""
    folders = [SHIPPED, local] if local else [SHIPPED]
    return Operators.of_files(folder / "operators.toml" for folder in folders)


def read_rules(
    folder: Path, reasons: Mapping[str, Reason], operators: Operators, *, own: bool
) -> list[Rule]:
    """
    Return the rules of *folder* in order; those of a user's *own* are checked to the last.

    Raises ConfigError where the folder is not there, or a file of it is not right.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder of rules")
    files = [RuleFile(path, reasons, operators.names, own) for path in rule_files(folder)]
    return [rule for file in files for rule in file.rules()]


def _refuse_twins(rules: Sequence[Rule]) -> None:
    seen: dict[str, Rule] = {}
    for rule in rules:
        if other := seen.get(rule.id):
            raise ConfigError(f"{rule.file}: rule '{rule.id}': {other.file} has a rule of that id")
        seen[rule.id] = rule


def _type(reason: Reason, seen: Evidence) -> BounceType | None:
    """
    Return the type of *reason*: none for what is no failure, and hard for none but 5xx.

    A delay is as soft as the failure would be that it may become; it counts nowhere.
    """
    if seen.outcome not in _COUNTED:
        return None
    if reason.type is _HARD and (seen.outcome is _DELAYED or blame.is_passing(seen)):
        return _SOFT
    return reason.type


_NO_RULE = Rule(id="undetermined", reason="undetermined")
_NOT_FOUND: Found = _NO_RULE, ""
_DELAYED = Outcome.DELAYED  # looked up once: each look at a member of an enum takes 0.1 µs
_COUNTED = (Outcome.BOUNCE, Outcome.COMPLAINT, _DELAYED)
_HARD, _SOFT = BounceType.HARD, BounceType.SOFT
