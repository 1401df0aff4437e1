"""The rows of ``mtabounce.bounces``, as the tests compare them."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.live.processes import wait_until
from tests.live.service import Service


@dataclass(frozen=True)
class Row:
    """One bounce, by what a test can know of it beforehand."""

    recipient: str
    type: str
    reason: str
    fault: str
    status: str | None
    original_message_id: str
    campaign: str | None
    trust: str
    sources: tuple[str, ...]


def bounces(service: Service) -> list[Row]:
    """Return all bounces, by recipient."""
    found = service.query("""
        SELECT recipient, type, reason, fault, status, original_message_id, campaign, trust, sources
          FROM mtabounce.bounces LEFT JOIN mtabounce.campaigns c ON c.id = campaign_id
         ORDER BY recipient
    """)
    return [Row(*row[:-1], sources=tuple(row.sources)) for row in found]


def wait_for_inputs(service: Service, count: int, log: Callable[[], str]) -> None:
    """Wait until *count* inputs, or more, came in and the workers are done with all of them."""

    def is_done() -> bool:
        (counted,) = service.query("""
            SELECT count(*) AS inputs, count(*) FILTER (WHERE state = 'pending') AS pending
              FROM mtabounce.inputs
        """)
        return bool(counted.inputs >= count and not counted.pending)

    def details() -> str:
        states = service.query("SELECT state, count(*) FROM mtabounce.inputs GROUP BY state")
        return f"{states}\n{service.log()[-2000:]}\n{log()}"

    wait_until(is_done, f"{count} inputs are read", timeout=90, details=details)
