"""From a delivery in a log to the report that a DSN of the same failure would be."""

from mtabounce.logs._events import State
from mtabounce.logs._messages import Delivery
from mtabounce.model import Action, EnhancedStatus, Outcome, Report


def report_of(delivery: Delivery) -> Report:
    """Return what *delivery*, which must not have succeeded, says in the words of RFC 3464."""
    failed = delivery.state in (State.BOUNCED, State.EXPIRED)
    return Report(
        outcome=Outcome.BOUNCE if failed else Outcome.DELAYED,
        final_recipient=delivery.final_recipient,
        original_recipient=delivery.original_recipient,
        action=Action.FAILED if failed else Action.DELAYED,
        status=EnhancedStatus.find(delivery.status),
        diagnostic_code=delivery.diagnostic_code,
        command=delivery.command,
        remote_mta=delivery.remote_mta,
        reporting_mta=delivery.host,
        queue_id=delivery.queue_id,
        original_message_id=delivery.original_message_id,
        original_from=delivery.reverse_path or "",
        native_code=str(delivery.state),
        occurred_at=delivery.occurred_at,
    )
