"""Webhooks have a secret, take what comes, and nothing of it lies about damaged."""

from collections.abc import Iterator

from mtabounce.doctor._check import Check, Finding, Level, Patient
from mtabounce.store import webhooks as store
from mtabounce.store.state import spool_directory
from mtabounce.web.spool import damaged
from mtabounce.web.webhook_providers import check
from mtabounce.web.webhook_settings import WebhookSettings

_TITLE = "webhooks"


def _run(patient: Patient) -> Iterator[Finding]:
    settings = patient.given()
    check(settings.webhooks)
    counts = patient.ask(store.counts) or {}
    for name, one in settings.webhooks.items():
        yield _look(name, one, counts.get(name, store.Counts(name)))
    folder = spool_directory(settings.state)
    if count := damaged(folder):
        yield Finding(
            _TITLE,
            Level.WARN,
            f"{count} inputs in {folder} are damaged, and were set aside",
            "check the disk; what is left in these files is text",
        )


def _look(name: str, one: WebhookSettings, counts: store.Counts) -> Finding:
    how = f"mtabounce webhook doctor {name}"
    if not one.is_on():
        return Finding(_TITLE, Level.WARN, f"{name} is off: it has no secret", f"see {how}")
    if one.auth == "none":
        text = f"{name} takes events from anybody (auth = none), which suppress nobody"
        return Finding(_TITLE, Level.WARN, text, f"give it a secret: see {how}")
    last = counts.refused_at
    if last and (counts.accepted_at is None or counts.accepted_at < last):
        text = f"{name} refused the last request: {counts.why}"
        return Finding(_TITLE, Level.WARN, text, f"see {how}")
    since = f"{counts.accepted:,} requests taken" if counts.accepted else "nothing came yet"
    return Finding(_TITLE, Level.OK, f"{name}: {since}")


CHECK = Check(title=_TITLE, rank=45, run=_run)
