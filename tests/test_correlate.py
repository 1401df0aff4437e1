"""Which observations are one bounce, and what they add up to, in whatever order they come."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtabounce.correlate import (
    Bounce,
    KnownRef,
    ReturnPath,
    domain_of,
    group,
    merge,
    observe,
    observe_delivery,
)
from mtabounce.model import (
    Action,
    BounceType,
    Fault,
    Judged,
    Outcome,
    RawInput,
    Reading,
    Report,
    Trust,
    Verdict,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HARD = Verdict(type=BounceType.HARD, reason="user_unknown", fault=Fault.RECIPIENT, rule="r1")
SOFT = Verdict(type=BounceType.SOFT, reason="mailbox_full", fault=Fault.RECIPIENT, rule="r2")
DELAY = Verdict(type=None, reason="delayed", fault=None, rule="outcome")


def raw(**changes):
    return replace(RawInput(source="receiver", content=b"", received_at=NOW), **changes)


def report(**changes):
    known = {"outcome": Outcome.BOUNCE, "final_recipient": "ann@example.org"}
    return Report(**{**known, "action": Action.FAILED, "original_message_id": "1@lists", **changes})


def observed(*reports, verdict=HARD, fingerprint=b"mail", relayed=True, **changes):
    reading = Reading(
        outcome=Outcome.BOUNCE,
        reports=reports,
        parser="dsn",
        fingerprint=fingerprint,
        relayed=relayed,
    )
    return observe(raw(**changes), Judged(reading=reading, verdicts=(verdict,) * len(reports)))


def known_by(observation, bounce_id, seen_at=NOW):
    return [KnownRef(ref.key, bounce_id, seen_at) for ref in observation.refs]


def test_recipient_is_the_address_that_we_mailed():
    (one,) = observed(
        report(final_recipient="ann@new.example", original_recipient="Ann@Example.ORG")
    )

    assert (one.recipient, domain_of(one.recipient)) == ("ann@example.org", "example.org")


def test_recipient_without_domain_is_kept():
    (one,) = observed(report(final_recipient="Ann"))

    assert (one.recipient, domain_of(one.recipient)) == ("ann", "")


def test_report_that_names_nobody_is_left_out():
    assert observed(report(final_recipient="")) == []


def test_report_that_names_nobody_is_on_whom_its_return_path_names():
    judged = Judged(
        reading=Reading(outcome=Outcome.BOUNCE, reports=(report(final_recipient=""),)),
        verdicts=(HARD,),
    )
    signed = ReturnPath("ann@example.org", "spring", "17 100")

    (proven,) = observe(raw(), judged, paths=[signed])
    (claimed,) = observe(raw(), judged, paths=[ReturnPath("ann@example.org")])

    assert (proven.recipient, proven.trust) == ("ann@example.org", Trust.PROVEN)
    assert proven.report.campaign == "spring"
    assert (claimed.recipient, claimed.trust) == ("ann@example.org", Trust.CLAIMED)
    assert observe(raw(), judged, paths=[signed, ReturnPath("bob@example.org")]) == []


def test_signed_return_path_proves_what_is_said_of_either_of_two_names():
    forwarded = report(final_recipient="ann@new.example", original_recipient="ann@example.org")
    for recipient in ("ann@new.example", "ann@example.org"):
        signed = ReturnPath(recipient, "", "17 100")
        reading = Reading(outcome=Outcome.BOUNCE, reports=(forwarded,))

        (one,) = observe(raw(), Judged(reading=reading, verdicts=(HARD,)), paths=[signed])

        assert (one.trust, one.recipient) == (Trust.PROVEN, recipient)


@pytest.mark.parametrize(
    "names",
    [
        {"final_recipient": "reader@evil.example", "original_recipient": "ann@example.org"},
        {"final_recipient": "ann@example.org", "original_recipient": "reader@evil.example"},
    ],
)
def test_return_path_of_a_reader_proves_nothing_of_others(names):
    signed = ReturnPath("reader@evil.example", "", "17 100")
    reading = Reading(outcome=Outcome.BOUNCE, reports=(report(**names),))

    (one,) = observe(raw(), Judged(reading=reading, verdicts=(HARD,)), paths=[signed])

    assert one.recipient == "reader@evil.example"


def test_return_path_of_a_reader_does_not_prove_a_mail_that_is_on_others():
    signed = ReturnPath("reader@evil.example", "", "17 100")
    reports = (report(final_recipient="ann@example.org"), report(final_recipient="bob@example.org"))
    reading = Reading(outcome=Outcome.BOUNCE, reports=reports)

    seen = observe(raw(), Judged(reading=reading, verdicts=(HARD, HARD)), paths=[signed])

    assert {one.trust for one in seen} == {Trust.CLAIMED}


def test_graver_of_two_reports_on_one_recipient_counts():
    reports = (report(), report())
    reading = Reading(outcome=Outcome.BOUNCE, reports=reports, fingerprint=b"mail")

    (one,) = observe(raw(), Judged(reading=reading, verdicts=(DELAY, HARD)))

    assert one.verdict is HARD


@pytest.mark.parametrize("order", [1, -1])
def test_failure_counts_beside_a_delay_of_the_same_type(order):
    reports = (report(outcome=Outcome.DELAYED), report())[::order]
    reading = Reading(outcome=Outcome.BOUNCE, reports=reports, fingerprint=b"mail")

    (one,) = observe(raw(), Judged(reading=reading, verdicts=(SOFT, SOFT)))

    assert (one.report.outcome, one.counts) == (Outcome.BOUNCE, True)


@pytest.mark.parametrize(
    ("trusted", "relayed", "trust"),
    [
        (True, False, Trust.PROVEN),
        (True, True, Trust.CLAIMED),
        (False, False, Trust.CLAIMED),
    ],
)
def test_only_what_our_own_server_made_is_proven(trusted, relayed, trust):
    (one,) = observed(report(), trusted=trusted, relayed=relayed)

    assert one.trust is trust


@pytest.mark.parametrize("days", [-46, 1])
def test_time_that_cannot_be_is_not_believed(days):
    (one,) = observed(report(occurred_at=NOW + timedelta(days=days)))

    assert one.occurred_at == NOW


@pytest.mark.parametrize("source", ["import", "pop3:bounces", "imap:bounces"])
def test_mail_that_lay_somewhere_is_of_when_it_arrived_there(source):
    arrived = NOW - timedelta(days=600)
    reports = (report(occurred_at=arrived - timedelta(hours=1)), report(final_recipient="b@x.y"))
    reading = Reading(outcome=Outcome.BOUNCE, reports=reports, arrived_at=arrived)
    judged = Judged(reading=reading, verdicts=(HARD, HARD))

    ann, bob = observe(raw(source=source), judged)
    late, _ = observe(raw(source="receiver"), judged)

    assert (ann.occurred_at, bob.occurred_at) == (arrived - timedelta(hours=1), arrived)
    assert late.occurred_at == NOW


@pytest.mark.parametrize(("trusted", "days"), [(True, -600), (False, 0)])
def test_who_has_a_token_may_tell_of_years_ago(trusted, days):
    (one,) = observed(report(occurred_at=NOW - timedelta(days=600)), source="api", trusted=trusted)

    assert one.occurred_at == NOW + timedelta(days=days)


@pytest.mark.parametrize("year", [1, 1970])  # Go and .NET, Unix
def test_time_of_a_clock_that_was_never_set_is_none(year):
    unset = datetime(year, 1, 1, tzinfo=UTC)
    (one,) = observed(report(occurred_at=unset), source="api", trusted=True)

    assert one.occurred_at == NOW


def test_own_time_of_an_event_is_kept():
    (one,) = observed(report(occurred_at=NOW - timedelta(days=4)))

    assert one.occurred_at == NOW - timedelta(days=4)


def test_two_copies_of_a_mail_from_one_kind_of_source_have_one_key():
    (one,), (other,) = observed(report(), source="pop3:a"), observed(report(), source="pop3:b")
    (third,) = observed(report(), source="receiver")

    assert one.key == other.key
    assert third.key != one.key


def test_same_message_and_recipient_are_one_bounce():
    (dsn,) = observed(report(), fingerprint=b"dsn")
    (webhook,) = observed(report(), fingerprint=b"webhook")

    assert group([dsn, webhook], []) == [([], [dsn, webhook])]


def test_another_recipient_is_another_bounce():
    (ann,), (bob,) = observed(report()), observed(report(final_recipient="bob@example.org"))

    assert len(group([ann, bob], [])) == 2


def test_final_recipient_alone_finds_the_bounce_of_the_original_one():
    (full,) = observed(
        report(final_recipient="ann@new.example", original_recipient="ann@example.org"),
        trusted=True,
        relayed=False,
    )
    (final,) = observed(report(final_recipient="ann@new.example"), fingerprint=b"other")

    assert len(group([full, final], [])) == 1


def committed_one_by_one(told):
    """Return the id of the bounce that each of *told* comes to."""
    known: dict[bytes, KnownRef] = {}
    found = []
    for number, one in enumerate(told):
        ((ids, (kept,)),) = group([one], known.values())
        found.append(ids[0] if ids else number + 100)
        known |= {ref.key: KnownRef(ref.key, found[-1], NOW) for ref in kept.refs}
    return found


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_what_a_log_and_a_dsn_call_by_two_names_is_one_bounce_in_any_order(order):
    """An upstream server named carol and cora (ORCPT, RFC 3461); here both were mailed as vic."""
    names = [
        {"original_recipient": "vic@example.org"},
        {"original_recipient": "carol@up.example", "expanded_from": "vic@example.org"},
        {"original_recipient": "dan@example.org"},
        {"original_recipient": "dave@up.example", "expanded_from": "dan@example.org"},
    ]
    told = [
        observed(
            report(final_recipient="x@new.example", **one),
            fingerprint=str(number).encode(),
            trusted=True,
            relayed=False,
        )[0]
        for number, one in enumerate(names)
    ]
    found = dict(zip(order, committed_one_by_one([told[n] for n in order]), strict=True))
    together = group([told[number] for number in order], [])

    assert found[0] == found[1] != found[2] == found[3]
    assert sorted(sorted(one.recipient for one in joined) for _, joined in together) == [
        ["carol@up.example", "vic@example.org"],
        ["dan@example.org", "dave@up.example"],
    ]


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_two_whom_another_server_forwards_to_one_address_here_are_two_bounces(order):
    told = [
        observed(
            report(
                final_recipient="x@new.example",
                original_recipient=name,
                expanded_from="vic@example.org",
            ),
            trusted=True,
            relayed=False,
        )[0]
        for name in ("carol@up.example", "cora@up.example")
    ]

    assert len(group([told[number] for number in order], [])) == 2
    assert len(set(committed_one_by_one([told[number] for number in order]))) == 2


@pytest.mark.parametrize("is_stored", [0, 1, None])
def test_bounce_is_of_whom_the_mail_was_sent_to_first(is_stored):
    named = report(
        final_recipient="x@new.example",
        original_recipient="carol@up.example",
        expanded_from="vic@example.org",
    )
    (dsn,) = observed(named, trusted=True, relayed=False)
    (log,) = observed(report(final_recipient="vic@example.org"), trusted=True, relayed=False)
    parts = [Bounce.of(dsn, 1), Bounce.of(replace(log, occurred_at=NOW - timedelta(hours=1)), 2)]
    if is_stored is not None:  # what it was made of is known no more then
        parts[is_stored] = replace(parts[is_stored], created_at=NOW, passed_on_to=frozenset())

    assert merge(parts).recipient == "carol@up.example"
    assert merge(parts[::-1]).recipient == "carol@up.example"


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_two_who_forward_to_one_address_are_two_bounces_in_any_order(order):
    mailed = ["ann@example.org", "bob@example.org", "ann@example.org", "bob@example.org", ""]
    told = [
        observed(
            report(final_recipient="x@new.example", original_recipient=name),
            fingerprint=str(number).encode(),
            trusted=True,
            relayed=False,
        )[0]
        for number, name in enumerate(mailed)
    ]
    known: dict[bytes, KnownRef] = {}
    bounce_of = {}
    for number in order:  # each is committed before the next
        ((ids, (one,)),) = group([told[number]], known.values())
        bounce_of[number] = ids[0] if ids else number + 100
        known |= {ref.key: KnownRef(ref.key, bounce_of[number], NOW) for ref in one.refs}
    together = group([told[number] for number in order], [])

    assert all(len(ids) < 2 for ids, _ in together)
    assert len(together) == len(set(bounce_of.values())) == 2
    assert bounce_of[0] == bounce_of[2] != bounce_of[1] == bounce_of[3]
    for _, joined in together:
        assert len({one.recipient for one in joined} - {"x@new.example"}) == 1


def test_mail_that_knows_nothing_of_the_message_is_a_bounce_by_itself():
    (one,) = observed(report(original_message_id=""), fingerprint=b"1")
    (other,) = observed(report(original_message_id=""), fingerprint=b"2")

    assert len(group([one, other], [])) == 2


def test_stored_bounce_is_found_by_any_ref():
    (one,) = observed(report(queue_id="4F1", reporting_mta="mx"))

    assert group([one], known_by(one, 7)[:1]) == [([7], [one])]


def test_late_link_joins_two_stored_bounces():
    (one,) = observed(report(queue_id="4F1", reporting_mta="mx"), trusted=True, relayed=False)
    by_id, by_queue = known_by(one, 9)[0], known_by(one, 4)[1]

    assert group([one], [by_id, by_queue]) == [([4, 9], [one])]


def test_claim_makes_no_two_bounces_one():
    names = {"final_recipient": "bob@example.org", "original_recipient": "ann@example.org"}
    queued = {"queue_id": "4F1", "reporting_mta": "mx", "original_envelope_id": "e1"}
    (claimed,) = observed(report(**names, **queued))
    (own,) = observed(report(**names, **queued), trusted=True, relayed=False)

    assert len(own.refs) == 9
    assert claimed.refs == own.refs[:1]


def test_queue_id_of_last_month_is_another_message():
    (one,) = observed(report(original_message_id="", queue_id="4F1", reporting_mta="mx"))

    assert group([one], known_by(one, 7, NOW - timedelta(days=11))) == [([], [one])]


@st.composite
def bounces(draw):
    seen_at = NOW + timedelta(hours=draw(st.integers(0, 50)))
    return Bounce(
        id=draw(st.integers(0, 3)),
        recipient="ann@example.org",
        type=draw(st.sampled_from(BounceType)),
        reason=draw(st.sampled_from(["undetermined", "user_unknown"])),
        fault=None,
        rule="r",
        status=None,
        reply_code=None,
        diagnostic_code="",
        remote_mta=draw(st.sampled_from(["", "mx1", "mx2"])),
        original_message_id="",
        queue_id="",
        campaign=draw(st.sampled_from(["", "spring"])),
        trust=draw(st.sampled_from(Trust)),
        sources=(draw(st.sampled_from(["api", "receiver"])),),
        decisive=draw(st.binary(min_size=4, max_size=4)),
        decisive_at=seen_at,
        meta=draw(st.sampled_from([{}, {"list_id": "a"}, {"list_id": "b"}])),
        first_seen_at=seen_at,
        last_seen_at=seen_at,
    )


@given(st.lists(bounces(), min_size=1, max_size=4, unique_by=lambda one: one.decisive))
def test_order_of_observations_does_not_matter(parts):
    assert len({str(merge(order)) for order in permutations(parts)}) == 1


@given(st.lists(bounces(), min_size=3, max_size=3, unique_by=lambda one: one.decisive))
def test_merging_in_steps_is_merging_at_once(parts):
    first, second, third = parts

    at_once, in_steps = merge(parts), merge([merge([first, second]), third])

    assert (at_once.type, at_once.trust, at_once.sources) == (
        in_steps.type,
        in_steps.trust,
        in_steps.sources,
    )
    assert at_once.decisive == in_steps.decisive
    assert at_once.observations == in_steps.observations == 3


def test_stronger_evidence_decides_whatever_weaker_says():
    (proven,) = observed(report(), verdict=SOFT, trusted=True, relayed=False)
    (claimed,) = observed(report(), fingerprint=b"forged", verdict=HARD)

    bounce = merge([Bounce.of(claimed), Bounce.of(proven)])

    assert (bounce.type, bounce.trust, bounce.observations) == ("soft", "proven", 2)


@given(
    st.lists(bounces(), min_size=1, max_size=3, unique_by=lambda one: one.decisive),
    bounces(),
    st.randoms(),
)
def test_claim_changes_nothing_that_policy_reads(parts, claim, random):
    parts = [
        replace(one, trust=Trust.LIKELY) if one.trust is Trust.CLAIMED else one for one in parts
    ]
    claim = replace(claim, trust=Trust.CLAIMED, decisive=b"claim")
    before = merge(parts)

    after = merge(random.sample([*parts, claim], len(parts) + 1))

    told = {"id", "sources", "observations"}
    assert {
        f.name for f in fields(Bounce) if getattr(before, f.name) != getattr(after, f.name)
    } <= told


def test_weaker_evidence_does_not_say_when_it_was():
    day = timedelta(days=1)
    (likely,) = observed(report(list_id="news.example.org"), received_at=NOW - day)
    (proven,) = observed(report(), trusted=True, relayed=False)
    likely = replace(Bounce.of(replace(likely, trust=Trust.LIKELY)), id=1, created_at=NOW - day)

    bounce = merge([likely, Bounce.of(proven)])

    assert (bounce.first_seen_at, bounce.last_seen_at, bounce.created_at) == (NOW, NOW, None)
    assert bounce.meta == {"list_id": "news.example.org"}


NO_FAILURES = [outcome for outcome in Outcome if not outcome.is_failure]


@pytest.mark.parametrize("outcome", NO_FAILURES)
@pytest.mark.parametrize("type_", BounceType)
def test_what_is_no_failure_counts_nowhere_whatever_its_verdict(outcome, type_):
    told, verdict = report(outcome=outcome), HARD._replace(type=type_)

    (read,) = observed(told, verdict=verdict)
    logged = observe_delivery(told, verdict, source="log:mail", parser="log")

    assert [one.verdict.type for one in (read, logged)] == [None, None]
    assert [one.counts for one in (read, logged)] == [False, False]


def test_what_is_no_failure_makes_no_bounce():
    (one,) = observed(report(outcome=Outcome.DELAYED), verdict=SOFT)

    assert not one.counts
    with pytest.raises(ValueError, match="delayed is no bounce"):
        Bounce.of(one)
