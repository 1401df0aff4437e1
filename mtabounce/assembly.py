"""
What the settings make: the judge, the recorder, the mailboxes.

Apart from the settings, so that commands that only read those start without all of this.
"""

from mtabounce.classify import Classifier, load
from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.judge_process import JudgeSettings
from mtabounce.settings import RuleSettings, Settings
from mtabounce.sources.mailboxes import MailboxSettings, Protocol, protocols
from mtabounce.web.webhook_providers import check, providers_of


def judging(settings: Settings) -> JudgeSettings:
    """
    Return what the parsers and the classifier need to know.

    Raises ConfigError where a webhook can never work.
    """
    check(settings.webhooks)
    whose = providers_of(settings.webhooks)
    rules = settings.rules
    return JudgeSettings(settings.headers.names(), rules.folder, dict(rules.types), whose)


def classifier(settings: Settings) -> Classifier:
    """Return what judges the deliveries of logs, which no parser reads; raises as `judging`."""
    return judging(settings).judge().classifier


def recorder(settings: Settings) -> Recorder:
    """Return what records and decides by the policy, and by the rules."""
    return Recorder(settings.policy, settings.rules.folder)


def mailboxes(settings: Settings) -> list[tuple[Protocol, MailboxSettings]]:
    """Return the mailboxes to poll, each with its protocol."""
    return [
        (protocol, mailbox)
        for name, protocol in protocols().items()
        for mailbox in getattr(settings, name)
    ]


def check_rules(settings: RuleSettings) -> None:
    """Raise ConfigError where one of the user's own rules is wrong."""
    if settings.folder is not None:
        load(settings.folder)
