"""Whom not to mail, whatever happened: what holds of every history."""

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtabounce.model import BounceType, Fault, Trust
from mtabounce.policy import (
    Consequence,
    EventKind,
    Override,
    Policy,
    Rules,
    Threshold,
    judge,
)
from tests.test_policy import (
    COMPLAINT,
    DAY,
    FAULTS,
    HARD,
    SOFT,
    STANDARD,
    START,
    bounce,
    delivered,
    is_suppressed,
    operator,
    standing,
    with_threshold,
)

EXAMPLES = os.environ.get("MTABOUNCE_EXAMPLES")  # of each: 10000 take an hour
pytestmark = pytest.mark.timeout(0 if EXAMPLES else 300)


def examples(usual):
    """Run with so many examples, or as many as the environment says."""
    return settings(max_examples=int(EXAMPLES or usual))


thresholds = st.builds(
    lambda count, action, span, window, lasts, hold, probe: Threshold(
        count=count,
        action=action,
        span=(span if count > 1 and span <= (window or span) else 0) * DAY,
        window=window and window * DAY,
        hold=None if lasts else hold and hold * DAY,
        lasts=lasts and lasts * DAY,
        longest=lasts and 3 * lasts * DAY,
        probe=lasts and probe and probe * DAY,
    ),
    st.integers(1, 4),
    st.sampled_from(Consequence),
    st.integers(0, 20),
    st.none() | st.integers(1, 60),
    st.none() | st.integers(1, 40),
    st.none() | st.integers(1, 9),
    st.none() | st.integers(1, 50),
)
any_rules = st.builds(
    lambda hard, soft, complaint, min_trust: Rules(
        thresholds={HARD: hard, SOFT: soft, COMPLAINT: complaint}, min_trust=min_trust
    ),
    thresholds,
    thresholds,
    thresholds,
    st.sampled_from(Trust),
)
campaigns, lists = st.sampled_from(["", "x"]), st.sampled_from(["", "a", "b"])
senders = st.sampled_from(["", "s.example"])
any_overrides = st.lists(
    st.builds(
        lambda rules, campaign, list_id, sender: Override(
            rules=rules, campaign=campaign, list_id=list_id, sender=sender
        ),
        any_rules,
        campaigns,
        lists,
        senders,
    ),
    max_size=3,
)
any_policy = st.builds(
    lambda rules, overrides: Policy(rules=rules, overrides=overrides), any_rules, any_overrides
)


@st.composite
def bounces(draw):
    kind = draw(st.sampled_from(BounceType))
    return bounce(
        kind,
        draw(st.integers(0, 480)) / 4,
        id=draw(st.integers(0, 40)),
        message=draw(st.sampled_from(["", "a", "b", "c", "d", "e"])),
        trust=draw(st.sampled_from(Trust)),
        fault=draw(st.sampled_from([*[FAULTS[kind]] * 3, Fault.SENDER, Fault.DESTINATION])),
        list_id=draw(lists),
        campaign=draw(campaigns),
        sender=draw(senders),
        was_taken=draw(st.sampled_from([False, False, True])),
        incident=draw(st.sampled_from([*[None] * 5, 7])),
    )


@st.composite
def words(draw):
    """What operators said, and what retention kept."""
    day = draw(st.integers(0, 480)) / 4
    until = draw(st.none() | st.just(START + (day + 9) * DAY))
    number = draw(st.integers(0, 40))
    some = tuple(draw(st.lists(st.integers(0, 40), min_size=1, max_size=5)))
    kept = {"type": draw(st.sampled_from(BounceType)), "rests_on": some[:1], "until": until}
    said = [
        {"kind": EventKind.ADDED, "list_id": draw(lists), "until": until},
        {"kind": EventKind.REMOVED},
        {"kind": EventKind.REMOVED, "forgives": some},
        {"kind": EventKind.REMOVED, "undoes": some},
        {"kind": EventKind.KEPT, "cause": "hard", "covers": "list:a", **kept},
        {"kind": EventKind.KEPT, "cause": "soft", **kept},
        {"kind": EventKind.KEPT, "cause": "hold", **kept},
    ]
    return operator(day=day, id=number, **draw(st.sampled_from(said)))


deliveries = st.builds(
    lambda quarter, trust: delivered(quarter / 4, trust),
    st.integers(0, 480),
    st.sampled_from(Trust),
)
anything = st.lists(bounces() | bounces() | deliveries | words(), max_size=25)


@st.composite
def events(draw):
    day = draw(st.integers(0, 120))
    kind = draw(st.sampled_from([*BounceType, "delivered", "delivered"]))
    if kind == "delivered":
        return delivered(day, draw(st.sampled_from(Trust)))
    return bounce(
        kind,
        day,
        id=draw(st.integers(0, 10_000)),
        message=draw(st.sampled_from(["", "a", "b", "c", "d", "e"])),
        trust=draw(st.sampled_from(Trust)),
        fault=draw(st.sampled_from([FAULTS[kind], Fault.SENDER, Fault.DESTINATION])),
    )


histories = st.lists(events(), max_size=25)
moments = st.integers(0, 300)
policies = st.sampled_from(
    [
        STANDARD,
        with_threshold(HARD, hold=7 * DAY),
        with_threshold(SOFT, count=2, span=0 * DAY),
        with_threshold(SOFT, window=10 * DAY, lasts=5 * DAY, longest=20 * DAY, probe=9 * DAY),
    ]
)


@examples(300)
@given(histories, st.randoms(), policies, moments)
def test_order_does_not_matter(history, random, rules, day):
    shuffled = random.sample(history, len(history))

    assert standing(*history, rules=rules, day=day) == standing(*shuffled, rules=rules, day=day)


@examples(200)
@given(histories, policies, moments)
def test_duplicate_changes_nothing(history, rules, day):
    assert standing(*history, rules=rules, day=day) == standing(
        *history, *history, rules=rules, day=day
    )


@examples(500)
@given(histories, st.integers(0, 24), policies, moments)
def test_more_trust_never_suppresses_less(history, number, rules, day):
    if not history or history[number % len(history)].kind is not EventKind.BOUNCE:
        return
    index = number % len(history)
    trusted = [*history]
    trusted[index] = replace(history[index], trust=Trust.PROVEN)

    if is_suppressed(*history, rules=rules, day=day):
        assert is_suppressed(*trusted, rules=rules, day=day)


@examples(200)
@given(histories, st.integers(0, 120), policies)
def test_complaint_stays(history, day, rules):
    complaint = bounce(COMPLAINT, day)

    assert is_suppressed(*history, complaint, rules=rules)


@examples(200)
@given(histories, policies)
def test_every_suppression_names_its_bounce_and_says_why(history, rules):
    found = standing(*history, rules=rules)

    for suppression in found.suppressions.values():
        assert suppression.bounce_id is not None
        assert any(
            one.action == "suppress" and suppression.bounce_id in one.bounces and one.why
            for one in found.decisions
        )


@examples(100)
@given(anything, st.randoms(), any_policy, moments)
def test_order_does_not_matter_by_any_rules(history, random, policy, day):
    now = START + day * DAY
    shuffled = random.sample(history, len(history))

    assert judge(history, policy, now) == judge(shuffled, policy, now)
    assert judge(history, policy, now) == judge(history * 2, policy, now)


@examples(200)
@given(anything, any_policy, moments)
def test_of_deliveries_the_last_one_says_all(history, policy, day):
    """So no others need be kept, in whatever order they and the bounces became known."""
    now = START + day * DAY
    proven = [one for one in history if one.kind is EventKind.DELIVERED and one.at <= now]
    proven = [one for one in proven if one.trust is Trust.PROVEN]
    last = max(proven, key=lambda one: one.at, default=None)
    left = [one for one in history if one.kind is not EventKind.DELIVERED or one is last]

    assert judge(history, policy, now).suppressions == judge(left, policy, now).suppressions


@examples(100)
@given(anything, any_policy, moments, st.integers(0, 24))
def test_what_was_decided_stays_decided(history, policy, day, later):
    """But for what an operator takes back."""
    history = [one for one in history if not (one.forgives or one.undoes)]
    early = judge(history, policy, START + day * DAY).decisions
    late = judge(history, policy, START + (day + later) * DAY).decisions

    assert list(late[: len(early)]) == list(early)


@examples(100)
@given(anything, any_policy, moments)
def test_every_suppression_has_a_decision_that_began_it_or_says_it_still_holds(
    history, policy, day
):
    found = judge(history, policy, START + day * DAY)

    for scope, one in found.suppressions.items():
        assert one.scope == scope
        assert one.until is None or one.until > START + day * DAY
        told = [
            said
            for said in found.decisions
            if (said.action, said.scope) == ("suppress", scope) and said.at >= one.since
        ]
        assert any(
            one.bounce_id in {None, *said.bounces} or said.event.kind is EventKind.KEPT
            for said in told
        )


@examples(100)
@given(anything, any_rules, moments)
def test_override_by_the_same_rules_changes_nothing(history, rules, day):
    overrides = [Override(rules=rules, list_id="a"), Override(rules=rules, campaign="x")]
    policy, now = Policy(rules=rules), START + day * DAY

    assert judge(history, policy, now) == judge(history, replace(policy, overrides=overrides), now)
