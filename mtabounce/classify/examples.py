"""The examples that a rule carries, judged as the reports that they stand for."""

from typing import Any

from mtabounce.classify.classifier import Classifier
from mtabounce.classify.rule import Example, Rule
from mtabounce.errors import ConfigError
from mtabounce.model import Action, EnhancedStatus, Outcome, Report, Verdict

_KINDS = {"status": EnhancedStatus.find, "outcome": Outcome, "action": Action}


def judge_example(classifier: Classifier, rule: Rule, example: Example) -> Verdict:
    """
    Return the verdict on *example* of *rule*: a reply, or a table with the fields of a report.

    A reply of a rule for an operator is one that this operator's server gave. Raises
    ConfigError where a table is no report.
    """
    if isinstance(example, str) and not rule.operator:
        return classifier.classify_reply(example)
    fields: dict[str, Any] = {"diagnostic_code": example} if isinstance(example, str) else example
    host = classifier.operators.example_host(rule.operator[0] if rule.operator else "")
    return classifier.classify(_report({"remote_mta": host} | fields, rule))


def _report(fields: dict[str, Any], rule: Rule) -> Report:
    given: dict[str, Any] = {"outcome": Outcome.BOUNCE, "final_recipient": ""}
    try:
        values = {
            key: _KINDS[key](value) if key in _KINDS else value for key, value in fields.items()
        }
        return Report(**given | values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{rule.file}: rule '{rule.id}': example {fields}: {error}") from error
