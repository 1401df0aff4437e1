"""When bounces are more than so many addresses can be blamed for."""

import pytest

from mtabounce.model import BounceType, Fault
from mtabounce.policy import BreakerSettings, IncidentKind, Seen, is_jump, kind_of

USUAL = [4] * 30


@pytest.mark.parametrize(
    ("recent", "hours", "delivered", "jumps"),
    [
        (19, USUAL, 0, False),  # too few to say
        (20, USUAL, 0, False),  # five times as many as usual are not more than that
        (21, USUAL, 0, True),
        (20, [], 0, True),  # nothing is known to be usual
        (21, USUAL, 500, False),  # 4 % of the attempts
        (80, USUAL, 500, True),  # 14 %
        (400, [100, 90, 110], 0, False),  # a big sender
        (21, [*USUAL, 10_000], 0, True),  # one bad hour is not what is usual
    ],
)
def test_jump_is_more_than_usual_and_than_a_share_of_the_attempts(recent, hours, delivered, jumps):
    assert is_jump(Seen(recent, hours, delivered), BreakerSettings()) is jumps


@pytest.mark.parametrize(
    ("kind", "fault", "expected"),
    [
        (BounceType.HARD, Fault.RECIPIENT, IncidentKind.JUMP),
        (BounceType.HARD, Fault.DESTINATION, IncidentKind.JUMP),
        (BounceType.SOFT, Fault.SENDER, IncidentKind.BLOCKED),
        (BounceType.SOFT, Fault.RECIPIENT, None),
        (BounceType.SOFT, Fault.CONTENT, None),
        (BounceType.COMPLAINT, None, None),
        (BounceType.HARD, None, None),
    ],
)
def test_kind_follows_from_type_and_fault(kind, fault, expected):
    assert kind_of(kind, fault) is expected
