"""Whom not to mail: by the same facts the same, in whatever order they came."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from mtabounce.model import BounceType, Fault, Trust
from mtabounce.policy import (
    EVERYWHERE,
    Consequence,
    Event,
    EventKind,
    Override,
    Policy,
    PolicySettings,
    Rules,
    Threshold,
    judge,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = START + 400 * DAY
HARD, SOFT, COMPLAINT = BounceType.HARD, BounceType.SOFT, BounceType.COMPLAINT
BOUNCED_AGAIN = [(1, 1), (2, 1), (3, 1), (4, 2), (10, 3)]  # days, and messages
STANDARD = Rules(
    thresholds={
        HARD: Threshold(),
        SOFT: Threshold(
            count=3,
            span=7 * DAY,
            window=90 * DAY,
            lasts=30 * DAY,
            longest=180 * DAY,
            probe=90 * DAY,
        ),
        COMPLAINT: Threshold(),
    }
)
FAULTS = {HARD: Fault.RECIPIENT, SOFT: Fault.RECIPIENT, COMPLAINT: None}
REASONS = {HARD: "user_unknown", SOFT: "mailbox_full", COMPLAINT: "complaint"}


def bounce(kind, day, **changes):
    known = {
        "kind": EventKind.BOUNCE,
        "at": START + day * DAY,
        "id": int(day * 10),
        "message": f"m{day}",
        "type": kind,
        "reason": REASONS[kind],
        "fault": FAULTS[kind],
        "trust": Trust.PROVEN,
    }
    return Event(**{**known, **changes})


def delivered(day, trust=Trust.PROVEN):
    return Event(kind=EventKind.DELIVERED, at=START + day * DAY, trust=trust)


def operator(kind, day, **changes):
    return Event(kind=kind, at=START + day * DAY, **changes)


def standing(*events, day=400, rules=STANDARD, overrides=()):
    return judge(events, Policy(rules=rules, overrides=overrides), START + day * DAY)


def is_suppressed(*events, **context):
    return EVERYWHERE in standing(*events, **context).suppressions


def with_threshold(kind, **changes):
    thresholds = {**STANDARD.thresholds, kind: replace(STANDARD.thresholds[kind], **changes)}
    return replace(STANDARD, thresholds=thresholds)


def test_first_hard_bounce_suppresses_for_good():
    found = standing(bounce(HARD, 1)).suppressions[EVERYWHERE]

    assert (found.cause, found.reason, found.until) == ("hard", "user_unknown", None)


def test_complaint_suppresses_for_good():
    assert is_suppressed(bounce(COMPLAINT, 1))


@pytest.mark.parametrize("fault", [Fault.SENDER, Fault.CONTENT, Fault.UNKNOWN])
@pytest.mark.parametrize("kind", [HARD, SOFT])
def test_fault_of_others_never_suppresses(kind, fault):
    events = [bounce(kind, day, fault=fault) for day in range(30)]

    assert standing(*events).suppressions == {}


def test_fault_of_others_is_said_to_be_that():
    (decision,) = standing(bounce(SOFT, 1, fault=Fault.SENDER, reason="ip_blocked")).decisions

    assert decision.why == "not acted on: ip_blocked is the fault of the sender"


def test_claim_does_not_suppress_and_says_why():
    found = standing(bounce(HARD, 1, trust=Trust.CLAIMED))

    assert found.suppressions == {}
    assert found.decisions[0].why == "not acted on: unproven (claimed, likely is asked for)"


@pytest.mark.parametrize(
    ("days", "suppressed"),
    [((1, 5), False), ((1, 2, 3), False), ((1, 4, 8), True), ((1, 50, 95), False)],
)
def test_soft_bounces_suppress_by_number_and_time(days, suppressed):
    events = [bounce(SOFT, day) for day in days]

    assert is_suppressed(*events, day=days[-1] + 1) is suppressed


def test_many_bounces_of_one_message_are_one():
    events = [bounce(SOFT, day, message="same") for day in (1, 5, 9, 13)]

    assert not is_suppressed(*events, day=14)


def test_soft_suppression_ends_and_lasts_longer_each_time():
    first = [bounce(SOFT, day) for day in (1, 4, 8)]
    again = [*first, bounce(SOFT, 39)]

    assert is_suppressed(*first, day=37)
    assert not is_suppressed(*first, day=38)
    assert is_suppressed(*again, day=98)
    assert not is_suppressed(*again, day=99)


YEARLY = [bounce(SOFT, day) for day in (1, 4, 8, 8.5, 39, 100, 230)]  # 30, 60, 120, 180 days


def test_suppression_lasts_twice_as_long_each_time_and_180_days_at_most():
    found = standing(*YEARLY, day=1000).decisions

    assert [f"{one.at - START}" for one in found if one.action == "lift"] == [
        "38 days, 12:00:00",
        "99 days, 0:00:00",
        "220 days, 0:00:00",
        "410 days, 0:00:00",
    ]


def test_whose_watch_ended_well_begins_anew():
    again = [bounce(SOFT, day) for day in (1, 4, 8, 400, 404, 408)]

    assert is_suppressed(*again, day=437)
    assert not is_suppressed(*again, day=438)


def test_second_suppression_lasts_twice_as_long_however_late_it_is():
    again = [bounce(SOFT, day) for day in (1, 4, 8, 127)]

    assert is_suppressed(*again, day=186)
    assert not is_suppressed(*again, day=187)


def test_bounce_at_the_end_of_a_suppression_is_the_next_one():
    again = [bounce(SOFT, day) for day in (1, 4, 8, 38)]

    assert is_suppressed(*again, day=97)
    assert not is_suppressed(*again, day=98)


def test_suppression_after_a_delivery_is_a_first_one():
    again = [bounce(SOFT, day) for day in (60, 64, 68)]

    found = [*(bounce(SOFT, day) for day in (1, 4, 8)), delivered(50), *again]

    assert is_suppressed(*found, day=97)
    assert not is_suppressed(*found, day=98)


def test_of_two_equal_suppressions_the_first_stays():
    (found,) = standing(bounce(HARD, 1), bounce(HARD, 2)).suppressions.values()

    assert (found.since, found.bounce_id) == (START + DAY, 10)


def test_what_retention_kept_goes_with_the_bounces_that_an_operator_forgave():
    kept = Event(kind=EventKind.KEPT, at=START + DAY, id=7, cause="hard", type=HARD, rests_on=(10,))
    word = operator(EventKind.REMOVED, 5)

    assert is_suppressed(kept)
    assert not is_suppressed(kept, replace(word, forgives=(10,)))
    assert is_suppressed(kept, replace(word, forgives=(11,)))


def test_who_was_suppressed_is_watched_for_a_time_after_it():
    first = [bounce(SOFT, day) for day in (1, 4, 8)]  # ends on day 38, watched until day 128
    watched, later = bounce(SOFT, 127), bounce(SOFT, 129)
    unwatched = with_threshold(SOFT, probe=None)

    assert is_suppressed(*first, watched, day=128)
    assert not is_suppressed(*first, later, day=130)
    assert not is_suppressed(*first, watched, day=128, rules=unwatched)


def test_delivery_and_operator_end_the_watch():
    first = [bounce(SOFT, day) for day in (1, 4, 8)]
    again = bounce(SOFT, 60)

    assert not is_suppressed(*first, delivered(50), again, day=61)
    assert not is_suppressed(*first, operator(EventKind.REMOVED, 50), again, day=61)


def test_watch_is_said():
    events = [bounce(SOFT, day) for day in (1, 4, 8)]

    lifted = standing(*events, day=50).decisions[-1]
    again = standing(*events, bounce(SOFT, 127), day=128).decisions[-1]

    assert lifted.why.endswith("is over; until 2026-05-09, one more suppresses it again")
    assert again.why.startswith("soft: mailbox_full again after a suppression of 2026-01-09: until")


def test_decision_says_by_which_settings():
    rules = with_threshold(HARD, hold=7 * DAY)

    (found,) = standing(bounce(HARD, 1), day=2, rules=rules).decisions

    assert found.settings == (
        "hard: 1 message → blocklist (the first is a hold of 7 days); likely or better"
    )


def test_end_of_a_suppression_is_a_decision():
    events = [bounce(SOFT, day) for day in (1, 4, 8)]

    assert [one.action for one in standing(*events).decisions][-2:] == ["suppress", "lift"]


def test_delivery_clears_what_is_soft():
    softs = [bounce(SOFT, 1), bounce(SOFT, 4), delivered(5), bounce(SOFT, 8)]

    assert not is_suppressed(*softs, day=9)


@pytest.mark.parametrize("kind", [HARD, COMPLAINT])
def test_delivery_does_not_clear_what_is_hard_or_a_complaint(kind):
    assert is_suppressed(bounce(kind, 1), delivered(2))


def test_evidence_of_just_the_trust_that_is_asked_for_counts():
    assert is_suppressed(bounce(HARD, 1, trust=Trust.LIKELY))


def test_where_nothing_follows_from_soft_bounces_there_is_nothing_to_clear():
    listmonk = PolicySettings(preset="listmonk").policy_for("example.org").rules
    softs = [bounce(SOFT, 1), bounce(SOFT, 4), delivered(5), bounce(SOFT, 8)]

    now = standing(*softs, rules=listmonk)

    assert now.suppressions == {}
    told = [(one.action, one.why) for one in now.decisions]
    assert told == [("none", "soft: the action is none")] * 3


def test_claimed_delivery_clears_nothing():
    softs = [bounce(SOFT, 1), bounce(SOFT, 4), delivered(5, Trust.CLAIMED), bounce(SOFT, 8)]

    assert is_suppressed(*softs, day=9)


def test_operator_suppresses_and_forgives():
    added = operator(EventKind.ADDED, 1)

    assert is_suppressed(added)
    assert not is_suppressed(added, operator(EventKind.REMOVED, 2))
    assert not is_suppressed(bounce(COMPLAINT, 1), operator(EventKind.REMOVED, 2))
    assert is_suppressed(operator(EventKind.REMOVED, 2), bounce(HARD, 3))


def test_operator_forgives_the_named_bounces_only():
    first, second = bounce(HARD, 1), bounce(HARD, 3)

    one = operator(EventKind.REMOVED, 4, forgives=(first.id,))
    both = operator(EventKind.REMOVED, 4, forgives=(first.id, second.id))

    assert standing(first, second, one).suppressions[EVERYWHERE].bounce_id == second.id
    assert not is_suppressed(first, second, both)
    assert is_suppressed(first, second, both, bounce(COMPLAINT, 2))


def test_addition_that_is_taken_back_lets_the_evidence_stand():
    added = operator(EventKind.ADDED, 2, id=5)
    back = operator(EventKind.REMOVED, 3, undoes=(5,))

    assert not is_suppressed(added, back)
    assert standing(bounce(HARD, 1), added, back).suppressions[EVERYWHERE].cause == "hard"


def test_incident_holds_a_bounce_back():
    assert not is_suppressed(bounce(HARD, 1, incident=7))


def test_careful_rules_hold_first_and_suppress_when_confirmed():
    careful = with_threshold(HARD, hold=7 * DAY)
    first, soon, second = bounce(HARD, 1), bounce(HARD, 1.5), bounce(HARD, 9)

    assert is_suppressed(first, day=7, rules=careful)
    assert not is_suppressed(first, day=8, rules=careful)
    assert not is_suppressed(first, soon, day=9, rules=careful)
    assert is_suppressed(first, second, rules=careful)


def test_delivery_ends_a_hold():
    careful = with_threshold(HARD, hold=7 * DAY)

    assert not is_suppressed(bounce(HARD, 1), delivered(2), day=3, rules=careful)


def test_delivery_after_a_hold_lets_it_confirm_nothing():
    careful = with_threshold(HARD, hold=7 * DAY)
    found = [bounce(HARD, 1), delivered(10), bounce(HARD, 18)]

    assert is_suppressed(*found, day=24, rules=careful)
    assert not is_suppressed(*found, day=26, rules=careful)
    assert is_suppressed(*found, bounce(HARD, 20), rules=careful)


def test_unsubscription_covers_the_list_only():
    rules = with_threshold(COMPLAINT, action=Consequence.UNSUBSCRIBE)

    found = standing(bounce(COMPLAINT, 1, list_id="news"), rules=rules)

    assert list(found.suppressions) == ["list:news"]


def test_unsubscription_rests_on_bounces_of_its_list_only():
    rules = with_threshold(HARD, count=2, action=Consequence.UNSUBSCRIBE)
    news, offers = bounce(HARD, 1, list_id="news"), bounce(HARD, 2, list_id="offers")
    again = bounce(HARD, 3, list_id="news")

    assert standing(news, offers, rules=rules).suppressions == {}
    assert list(standing(news, offers, again, rules=rules).suppressions) == ["list:news"]


def test_unsubscription_from_a_campaign_rests_on_bounces_of_all():
    rules = with_threshold(HARD, count=2, action=Consequence.UNSUBSCRIBE)
    spring, summer = bounce(HARD, 1, campaign="spring"), bounce(HARD, 2, campaign="summer")

    found = standing(spring, summer, rules=rules)

    assert list(found.suppressions) == ["campaign:summer"]


def test_end_of_an_unsubscription_from_a_campaign_is_watched():
    rules = with_threshold(SOFT, count=2, span=0 * DAY, action=Consequence.UNSUBSCRIBE)
    softs = [bounce(SOFT, day, campaign=f"c{day}") for day in (1, 2, 40)]

    found = standing(*softs, rules=rules, day=41)

    assert list(found.suppressions) == ["campaign:c40"]
    assert any("one more suppresses it again" in one.why for one in found.decisions)


def test_end_of_one_unsubscription_watches_its_list_only():
    rules = with_threshold(SOFT, count=2, span=0 * DAY, action=Consequence.UNSUBSCRIBE)
    news = [bounce(SOFT, day, list_id="news") for day in (1, 2)]

    assert not standing(*news, bounce(SOFT, 40, list_id="offers"), rules=rules, day=41).suppressions
    assert standing(*news, bounce(SOFT, 40, list_id="news"), rules=rules, day=41).suppressions


def test_action_none_only_counts():
    rules = with_threshold(HARD, action=Consequence.NONE)

    assert standing(bounce(HARD, 1), rules=rules).suppressions == {}


def test_bounces_of_which_nothing_follows_count_for_nothing_else():
    test_list = Override(rules=with_threshold(HARD, action=Consequence.NONE), list_id="test")
    rules, ignored = with_threshold(HARD, count=2), bounce(HARD, 1, list_id="test")

    assert not is_suppressed(ignored, bounce(HARD, 2), rules=rules, overrides=[test_list])
    assert is_suppressed(bounce(HARD, 1), bounce(HARD, 2), rules=rules, overrides=[test_list])


def test_decision_names_the_bounces_that_reached_the_threshold_and_the_last():
    softs = [bounce(SOFT, day) for day in range(1, 10)]

    last = standing(*softs, day=10).decisions[-1]

    assert last.bounces == (10, 20, 30, 90)
    assert last.why.startswith("soft: 9 messages, the last for")


def test_thousands_of_bounces_of_one_address_are_looked_at_once_each(monkeypatch):
    looked = 0

    def message(event):
        nonlocal looked
        looked += 1
        return event.message

    monkeypatch.setattr("mtabounce.policy.counting._message", message)
    rules = with_threshold(SOFT, window=10 * DAY)

    standing(*(bounce(SOFT, n / 100, message=f"m{n}") for n in range(3000)), rules=rules)

    assert looked <= 2 * 3000


def test_overlap_is_settled_by_an_override_for_both():
    news, spring = {"list_id": "news.example.org"}, {"campaign": "spring"}
    with pytest.raises(ValidationError, match="overlap"):
        PolicySettings.model_validate({"override": [news, spring]})
    PolicySettings.model_validate({"override": [news | spring, news, spring]})
    PolicySettings.model_validate({"override": [news, {"list_id": "other.example.org"} | spring]})


def test_override_holds_for_what_it_names():
    lenient = Override(rules=with_threshold(HARD, count=2), campaign="spring")

    assert not is_suppressed(bounce(HARD, 1, campaign="spring"), overrides=[lenient])
    assert is_suppressed(bounce(HARD, 1, campaign="summer"), overrides=[lenient])


def test_what_lies_ahead_does_not_count():
    assert not is_suppressed(bounce(HARD, 10), day=9)


def test_delivery_lets_lengths_begin_again():
    again = [*YEARLY[:3], delivered(60), *(bounce(SOFT, day) for day in (100, 104, 108))]

    found = standing(*again, day=109).suppressions[EVERYWHERE]

    assert found.until == START + 138 * DAY


def test_of_equal_suppressions_the_first_stays():
    first = standing(bounce(HARD, 1), bounce(HARD, 3)).suppressions[EVERYWHERE]

    assert first.since == START + DAY


def test_what_is_kept_goes_with_the_bounces_it_rests_on():
    kept = Event(
        kind=EventKind.KEPT, at=START, id=7, type=HARD, cause="hard", reason="x", rests_on=(3, 4)
    )

    assert is_suppressed(kept)
    assert not is_suppressed(kept, operator(EventKind.REMOVED, 2, forgives=(4,)))
    assert is_suppressed(kept, operator(EventKind.REMOVED, 2, forgives=(5,)))


@pytest.mark.parametrize(
    "written", ["Bücher.example", "xn--bcher-kva.example", "XN--BCHER-KVA.Example"]
)
def test_override_for_a_domain_fits_however_that_is_written(written):
    override = {"destination": written, "hard": {"count": 2}}
    policy = PolicySettings.model_validate({"override": [override]})

    found = policy.policy_for("xn--bcher-kva.example")

    assert [one.rules.thresholds[HARD].count for one in found.overrides] == [2]


def test_delivery_lifts_a_soft_suppression_but_not_what_stood_behind_it():
    added = operator(EventKind.ADDED, 0, id=1, until=START + 60 * DAY)
    softs = [bounce(SOFT, day) for day in (10, 20, 40)]

    (left,) = standing(added, *softs, delivered(41), day=42).suppressions.values()

    assert (left.cause, left.until) == ("manual", START + 60 * DAY)
    assert standing(added, *softs, delivered(41), day=61).suppressions == {}


def test_delivery_lifts_no_complaint_that_a_soft_suppression_outlasts():
    rules = with_threshold(COMPLAINT, lasts=60 * DAY)
    softs = [bounce(SOFT, day) for day in (10, 20, 40)]

    assert is_suppressed(bounce(COMPLAINT, 1), *softs, delivered(41), rules=rules, day=42)


def test_delivery_forgets_the_hard_bounces_of_the_list_that_is_held_only():
    rules = with_threshold(HARD, count=2)
    held = with_threshold(HARD, count=1, action=Consequence.UNSUBSCRIBE, hold=7 * DAY)
    news = Override(rules=held, list_id="news")
    hards = bounce(HARD, 1), bounce(HARD, 2, list_id="news"), bounce(HARD, 4)

    assert is_suppressed(*hards, delivered(3), rules=rules, overrides=[news])


def test_two_bounces_of_one_second_mean_the_same_in_either_order():
    rules = with_threshold(SOFT, count=2, span=0 * DAY, action=Consequence.UNSUBSCRIBE)
    first, second = bounce(SOFT, 1, message="a", campaign="c1"), bounce(SOFT, 1, campaign="c2")

    one = standing(first, replace(second, id=11), rules=rules, day=2).suppressions
    other = standing(replace(first, id=11), second, rules=rules, day=2).suppressions

    assert one.keys() == other.keys()


def test_decision_names_as_many_messages_as_it_counted():
    softs = [bounce(SOFT, day, message=f"m{message}") for day, message in BOUNCED_AGAIN]

    assert standing(*softs, day=11).decisions[-1].bounces == (10, 40, 100)


def test_hold_is_no_round_of_suppression():
    rules = with_threshold(HARD, lasts=30 * DAY, longest=90 * DAY)
    held = Override(rules=with_threshold(HARD, hold=7 * DAY), campaign="x")
    hards = bounce(HARD, 1, campaign="x"), bounce(HARD, 40)

    (found,) = standing(*hards, rules=rules, overrides=[held], day=41).suppressions.values()

    assert found.until == START + 70 * DAY


def test_bounces_of_a_thousand_lists_are_looked_at_a_few_times_each(monkeypatch):
    looked, scope = [], Event.scope.fget
    monkeypatch.setattr(Event, "scope", property(lambda one: looked.append(one) or scope(one)))
    rules = with_threshold(HARD, count=2, action=Consequence.UNSUBSCRIBE)

    standing(*(bounce(HARD, n / 100, list_id=f"l{n}") for n in range(1000)), rules=rules)

    assert len(looked) < 10_000


def test_claim_that_counts_for_one_list_counts_for_no_other():
    lax = Override(rules=replace(STANDARD, min_trust=Trust.CLAIMED), list_id="lax")
    rules = replace(with_threshold(HARD, count=2), min_trust=Trust.PROVEN)
    claim = bounce(HARD, 1, list_id="lax", trust=Trust.CLAIMED)
    proof = replace(claim, trust=Trust.PROVEN)

    assert is_suppressed(claim, overrides=[lax])
    assert not is_suppressed(claim, operator(EventKind.REMOVED, 2), overrides=[lax])
    assert not is_suppressed(claim, bounce(HARD, 3), rules=rules, overrides=[with_count(lax, 2)])
    assert is_suppressed(proof, bounce(HARD, 3), rules=rules, overrides=[with_count(lax, 2)])


def with_count(override, count):
    hard = replace(override.rules.thresholds[HARD], count=count)
    thresholds = {**override.rules.thresholds, HARD: hard}
    return replace(override, rules=replace(override.rules, thresholds=thresholds))


def test_suppression_by_claims_begins_no_watch_for_who_asks_for_proof():
    strict = replace(STANDARD, min_trust=Trust.PROVEN)
    lax = Override(rules=replace(STANDARD, min_trust=Trust.CLAIMED), list_id="lax")
    claims = [bounce(SOFT, day, list_id="lax", trust=Trust.CLAIMED) for day in (1, 4, 8)]
    proofs = [replace(one, trust=Trust.PROVEN) for one in claims]
    context = {"rules": strict, "overrides": [lax], "day": 61}

    assert not is_suppressed(*claims, bounce(SOFT, 60), **context)
    assert is_suppressed(*claims, bounce(SOFT, 60, list_id="lax"), **context)
    assert is_suppressed(*proofs, bounce(SOFT, 60), **context)


def test_suppression_lasts_by_the_rule_that_it_began_by():
    rules = with_threshold(SOFT, count=1, span=0 * DAY, lasts=30 * DAY)
    short = with_threshold(SOFT, count=1, span=0 * DAY, lasts=7 * DAY)
    spring = Override(rules=short, campaign="spring")

    context = {"rules": rules, "overrides": [spring]}
    short_first = standing(bounce(SOFT, 1, campaign="spring"), bounce(SOFT, 20), day=21, **context)
    long_first = standing(bounce(SOFT, 1), bounce(SOFT, 10, campaign="spring"), day=11, **context)

    assert short_first.suppressions[EVERYWHERE].until == START + 80 * DAY  # over on day 8, so twice
    assert long_first.suppressions[EVERYWHERE].until == START + 31 * DAY


@pytest.mark.parametrize(
    ("changes", "suppressed"),
    [({}, True), ({"probe": None}, False), ({"probe": 5 * DAY}, False), ({"count": 9}, True)],
)
def test_whether_one_message_is_enough_is_asked_of_its_own_rule(changes, suppressed):
    """Where that knows a watch, of as long as that one is."""
    own = Override(rules=with_threshold(SOFT, **changes), list_id="news")
    softs = [bounce(SOFT, day) for day in (1, 4, 8)]

    found = is_suppressed(*softs, bounce(SOFT, 120, list_id="news"), overrides=[own], day=121)

    assert found is suppressed


def test_ends_are_told_in_the_order_of_time():
    added = [
        operator(EventKind.ADDED, day, id=day, list_id=name, until=START + until * DAY)
        for day, name, until in ((1, "a", 9), (2, "b", 5))
    ]

    assert [one.scope for one in standing(*added).decisions[-2:]] == ["list:b", "list:a"]


def test_watch_that_ended_before_is_not_told():
    rules = with_threshold(SOFT, count=1, span=0 * DAY, lasts=5 * DAY, probe=2 * DAY)
    kept = operator(EventKind.KEPT, 2, type=SOFT, cause="soft", reason="x", until=START + 20 * DAY)

    last = standing(bounce(SOFT, 1), kept, rules=rules).decisions[-1]

    assert last.why == "the suppression of 2026-01-03 is over"


def test_delivery_clears_what_a_hold_was_confirmed_by():
    """Where the first is but a hold, that it works again says more than what bounced before."""
    careful = with_threshold(HARD, hold=7 * DAY)
    hards = bounce(HARD, 1), bounce(HARD, 5)

    assert is_suppressed(*hards, rules=careful, day=20)
    assert not is_suppressed(*hards, delivered(20), rules=careful, day=21)


def test_delivery_clears_no_bounce_of_a_message_that_was_taken_first():
    careful = with_threshold(HARD, hold=7 * DAY)
    softs = [bounce(SOFT, day, was_taken=True) for day in (1, 4, 8)]

    assert is_suppressed(*softs, delivered(9), day=10)
    assert is_suppressed(*softs[:2], delivered(5), softs[2], day=10)
    assert is_suppressed(bounce(HARD, 1, was_taken=True), delivered(2), rules=careful, day=3)


@pytest.mark.parametrize("day", [15, 41], ids=["was in force", "was outweighed on arrival"])
def test_what_still_holds_after_a_delivery_says_by_which_bounces(day):
    rules = with_threshold(HARD, lasts=28 * DAY)
    hard, softs = bounce(HARD, day), [bounce(SOFT, day) for day in (10, 20, 40)]

    found = standing(hard, *softs, delivered(42), day=42.5, rules=rules)

    cleared, lifted, still = found.decisions[-3:]
    assert (cleared.action, lifted.action) == ("clear", "lift")
    assert (still.action, still.at, still.bounces) == ("suppress", START + 42 * DAY, (day * 10,))
    assert still.why == (
        f"hard of {START + day * DAY:%Y-%m-%d} still holds: hard: 1 of 1 messages, the last for"
        f" user_unknown: until {START + (day + 28) * DAY:%Y-%m-%d}"
    )
    assert found.suppressions[EVERYWHERE].bounce_id == day * 10
