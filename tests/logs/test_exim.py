"""Exim's log: every flag and selector, through syslog too, and what strangers make it say."""

from datetime import UTC, datetime

import pytest

from mtabounce.logs import LogReader, State, report_of

from .lines import LATEST, LOGS

DEFAULT = LOGS / "exim" / "4.96-default.log"
SELECTED = LOGS / "exim" / "4.96-all-selectors.log"
ID = "1xVKdA-0005NO-24"
ERROR = "SMTP error from remote mail server after RCPT TO:<ann@example.org>: 550 5.1.1 no"
ARRIVED = f"2026-11-23 03:22:12 {ID} <= news@sender.test H=x [127.0.0.1] P=esmtp S=9 id=one@s.test"
FAILED = f"2026-11-23 03:22:13 {ID} ** ann@example.org R=rem T=smtp H=mx [192.0.2.1]: {ERROR}"


def test_failure_is_joined_with_sender_and_message_id(read):
    (found,) = read(ARRIVED, FAILED, host="mail")

    assert (found.host, found.queue_id) == ("mail", ID)
    assert (found.reverse_path, found.original_message_id) == ("news@sender.test", "one@s.test")
    assert (found.diagnostic_code, found.command) == ("550 5.1.1 no", "RCPT TO")
    assert found.remote_mta == "mx"
    assert found.occurred_at == datetime(2026, 11, 23, 3, 22, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "bounced", "expired"), [(DEFAULT, 43, 10), (SELECTED, 44, 11)], ids=["default", "all"]
)
def test_real_log_is_read_whole(read, path, bounced, expired):
    states = [one.state for one in read(path.read_bytes())]

    assert states.count(State.BOUNCED) == bounced
    assert states.count(State.EXPIRED) == expired


def test_expiry_says_what_the_last_attempt_met(read):
    met = ERROR.replace("550 5.1.1 no", "452 4.2.2 full")
    waits = f"2026-11-23 03:22:13 {ID} == ann@example.org R=rem T=smtp defer (-44) H=mx [1.2.3.4]:"
    noise = f"2026-11-23 03:23:13 {ID} == ann@example.org routing defer (-52): retry time not"
    gave_up = f"2026-11-23 03:24:13 {ID} ** ann@example.org: retry timeout exceeded"

    found = read(ARRIVED, f"{waits} {met}", f"{noise} reached", gave_up)

    assert [one.state for one in found] == [State.DEFERRED, State.EXPIRED]
    assert found[1].diagnostic_code == "452 4.2.2 full"
    assert found[1].first_deferred_at == found[0].occurred_at


def test_hosts_that_failed_for_long_failed_by_what_they_last_said(read):
    waits = (
        f"2026-11-23 03:22:13 {ID} == ann@b.test R=rem T=smtp defer (-38) H=mx [1.2.3.4]: no TLS"
    )
    over = "all hosts for 'b.test' have been failing for a long time (and retry time not reached)"

    found = read(ARRIVED, waits, f"2026-11-23 03:24:13 {ID} ** ann@b.test R=rem T=smtp : {over}")

    assert [one.diagnostic_code for one in found] == ["no TLS", "no TLS"]


def test_expiry_is_that_of_the_address_that_was_mailed(read):
    waits = f"2026-11-23 03:22:13 {ID} == no@remote.test <ann@local.test> R=rem T=smtp defer (-44)"
    refused = f"{waits} H=mx [1.2.3.4]: {ERROR.replace('550 5.1.1 no', '452 4.2.2 full')}"
    gave_up = f"2026-11-23 03:24:13 {ID} ** no@remote.test <middle@local.test>: retry timeout"

    found = read(ARRIVED, refused, f"{gave_up} exceeded")

    assert [one.original_recipient for one in found] == ["ann@local.test", "ann@local.test"]


def test_expiry_names_the_address_as_it_was_written(read):
    waits = f"2026-11-23 03:22:13 {ID} == ann.b@example.org <Ann.B@example.org> R=rem T=smtp defer"
    refused = f"{waits} (-44) H=mx [1.2.3.4]: {ERROR.replace('550 5.1.1 no', '452 4.2.2 full')}"
    gave_up = f"2026-11-23 03:24:13 {ID} ** Ann.B@example.org: retry timeout exceeded"

    found = read(ARRIVED, refused, gave_up)

    assert [one.diagnostic_code for one in found] == ["452 4.2.2 full", "452 4.2.2 full"]
    assert found[1].attempts == 2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("defer (111): Connection refused DT=0.000s", "Connection refused"),
        ("defer (13): No DT=0.040s: failed to create /x: No", "failed to create /x: No"),
        ("defer (-1) DT=0.000s: lowest numbered MX", "lowest numbered MX"),
    ],
)
def test_time_that_a_deferral_took_is_no_reason(read, said, reason):
    (found,) = read(f"2026-11-23 03:22:13 {ID} == ann@example.org R=rem T=smtp {said}")

    assert found.diagnostic_code == reason


@pytest.mark.parametrize(
    ("said", "host", "reason"),
    [
        (f"H=mx [192.0.2.1]: {ERROR}", "mx", "550 5.1.1 no"),
        ("H=mx [192.0.2.1]", "mx", ""),
        ("(Connection refused)", "", "Connection refused"),
        (': lookup of host "mx" failed', "", 'lookup of host "mx" failed'),
    ],
)
def test_deferral_without_a_number_is_read(read, said, host, reason):
    line = f"2026-11-23 03:22:13 {ID} == ann@example.org R=rem T=smtp defer {said}"

    (found,) = read(line.replace("defer :", "defer:"))

    assert (found.state, found.remote_mta, found.diagnostic_code) == (State.DEFERRED, host, reason)


@pytest.mark.parametrize(
    "said",
    [
        "ann@example.org routing defer: retry time not reached",
        "ann@example.org R=rem T=smtp defer: retry time not reached for any host for 'example.org'",
        "|/bin/mda <ann@example.org> R=rem T=pipe defer: Retry time not yet reached",
        "ann@example.org R=rem T=smtp defer DT=0.000s: retry time not reached for any host",
    ],
)
def test_what_was_put_off_is_no_attempt(read, said):
    assert read(f"2026-11-23 03:22:13 {ID} == {said}") == []


def test_host_that_says_when_to_retry_was_reached(read):
    said = ERROR.replace("550 5.1.1 no", "450 retry time not reached")
    waits = f"2026-11-23 03:22:13 {ID} == ann@example.org R=rem T=smtp defer H=mx [192.0.2.1]"

    (found,) = read(f"{waits}: {said}")

    assert found.state is State.DEFERRED


def test_message_id_that_exim_added_is_read(read):
    (found,) = read(ARRIVED.replace(" id=one@", " id*=E1x@"), FAILED)

    assert found.original_message_id == "E1x@s.test"


def test_subject_names_no_recipient(read):
    subject = ' T="hello for victim@forged.example"'
    cancelled = f"2026-11-24 03:22:13 {ID} cancelled by root"

    assert read(ARRIVED + subject, cancelled) == []
    (found,) = read(f"{ARRIVED}{subject} for ann@example.org", cancelled)
    assert found.final_recipient == "ann@example.org"


def test_cancelled_message_fails_whoever_waits(read):
    named = ARRIVED + " for ann@example.org bob@example.org cy@example.org"
    waits = f"2026-11-23 03:22:13 {ID} == ann@example.org R=rem T=smtp defer (111): refused"
    sent = f"2026-11-23 03:22:13 {ID} => bob@example.org R=rem T=smtp H=mx [1.2.3.4]"
    cancelled = f"2026-11-24 03:22:13 {ID} cancelled by root"

    found = read(named, waits, sent, cancelled)

    failed = [one.final_recipient for one in found if one.state is State.BOUNCED]
    assert failed == ["ann@example.org", "cy@example.org"]


def test_filter_says_why_it_cancelled_a_message(read):
    named = ARRIVED + " for ann@example.org bob@example.org"
    cancelled = f"2026-11-24 03:22:13 {ID} cancelled by system filter: no such mail, please"

    found = read(named, cancelled)

    assert [one.diagnostic_code for one in found] == ["no such mail, please"] * 2


def test_cancelled_message_counts_as_bounced():
    log = f"{ARRIVED} for ann@example.org\n2026-11-24 03:22:13 {ID} cancelled by root\n"

    counts = LogReader(latest=LATEST, zone=UTC).read(log.encode()).counts

    assert [(one.domain, state, times) for (one, state), times in counts.items()] == [
        ("example.org", State.BOUNCED, 1)
    ]


def test_cancelled_message_fails_the_address_that_was_mailed_once(read):
    named = ARRIVED + " for team@local.test bob@example.org"
    waits = f"2026-11-23 03:22:13 {ID} == a@b.test <team@local.test> R=rem T=smtp defer (111): no"

    found = read(named, waits, f"2026-11-24 03:22:13 {ID} cancelled by root")

    failed = [(one.final_recipient, one.original_recipient) for one in found[1:]]
    assert failed == [("a@b.test", "team@local.test"), ("bob@example.org", "")]


def test_message_that_was_frozen_for_too_long_has_expired(read):
    waits = f"2026-11-23 03:22:13 {ID} == ann@example.org R=rem T=smtp defer (111): refused"
    over = f"2026-11-24 03:22:13 {ID} cancelled by timeout_frozen_after"

    found = read(ARRIVED, waits, over)

    assert [(one.state, one.diagnostic_code) for one in found[1:]] == [(State.EXPIRED, "refused")]


@pytest.mark.parametrize("end", ["removed by root", "Completed"])
def test_message_that_is_gone_fails_nobody(read, end):
    waits = f"2026-11-23 03:22:13 {ID} == ann@example.org R=rem T=smtp defer (111): refused"

    found = read(ARRIVED, waits, f"2026-11-24 03:22:13 {ID} {end}")

    assert [one.state for one in found] == [State.DEFERRED]


@pytest.mark.parametrize(
    "head",
    [
        "2026-11-23 03:22:13.466 [20657] ",
        "2026-11-23 03:22:13.466 +0000 [20657] ",
        "2026-11-23 04:22:13 +0100 ",
        "Nov 23 03:22:13 mail exim[1]: 2026-11-23 03:22:13 [20657] ",
        "Nov 23 03:22:13 mail exim4[1]: ",
        "2026-11-23T03:22:13.5+00:00 mail exim[1]: 2026-11-23 03:22:13 ",
        "<22>1 2026-11-23T03:22:13.5Z mail exim 1 - - 2026-11-23 03:22:13 ",
        '<22>1 2026-11-23T03:22:13.5Z mail exim 1 - [a@1 x="[1\\]"][b@2 y=""]  ',
        "Nov 23 03:22:13 mail mail.info exim[1]: 2026-11-23 03:22:13 ",
        "2026-11-23T03:22:13.5Z stdout F Nov 23 03:22:13 mail exim[1]: ",
    ],
)
def test_envelope_makes_no_difference(read, head):
    (found,) = read(head + FAILED[20:])

    assert (found.queue_id, found.diagnostic_code) == (ID, "550 5.1.1 no")
    assert found.occurred_at.replace(microsecond=0) == datetime(2026, 11, 23, 3, 22, 13, tzinfo=UTC)


def test_line_that_syslog_cut_is_put_together(read):
    head = "Nov 23 03:22:13 mail exim[1]: "
    text = FAILED + " and more" * 100
    other = "Nov 23 03:22:13 mail exim[2]: 2026-11-23 03:22:13 " + ARRIVED[20:]

    (found,) = read(head + r"[1\2] " + text[:300], other, head + "[2/2] " + text[300:])

    assert found.diagnostic_code == "550 5.1.1 no" + " and more" * 100


def test_long_message_ids_are_known(read):
    (found,) = read(FAILED.replace(ID, "1vnK2E-00000002Cfc-2ahs"))

    assert found.queue_id == "1vnK2E-00000002Cfc-2ahs"


@pytest.mark.parametrize(
    ("written", "final", "original"),
    [
        ("ann@example.org", "ann@example.org", ""),
        ("nouser@remote.test <aliased@local.test>", "nouser@remote.test", "aliased@local.test"),
        (
            "nouser@remote.test (b@local.test, a@local.test) <aliased@local.test>",
            "nouser@remote.test",
            "aliased@local.test",
        ),
        (
            'quoted, <odd> user@remote.test <"quoted, <odd> user"@remote.test>',
            '"quoted, <odd> user"@remote.test',
            '"quoted, <odd> user"@remote.test',
        ),
        ("|/bin/false <pipe@local.test>", "pipe@local.test", "pipe@local.test"),
        (":fail: gone <old@local.test>", "old@local.test", "old@local.test"),
        (
            "quoted, <odd> user@remote.test <aliased@local.test>",
            '"quoted, <odd> user"@remote.test',
            "aliased@local.test",
        ),
        ('nouser@remote.test <"a b"@local.test>', "nouser@remote.test", '"a b"@local.test'),
        ('"a b"@remote.test <aliased@local.test>', '"a b"@remote.test', "aliased@local.test"),
        ("root <aliased@local.test>", "root", "aliased@local.test"),
    ],
)
def test_recipient_is_read_as_exim_writes_it(read, written, final, original):
    line = FAILED.replace("** ann@example.org ", f"** {written} ")

    (found,) = read(line)

    assert (found.final_recipient, found.original_recipient) == (final, original)
    assert found.diagnostic_code == "550 5.1.1 no"


def test_words_in_a_quoted_recipient_are_no_recipient(read):
    local = "victim@forged.example R=rem T=smtp: 550 5.1.1 no"
    line = f'2026-11-23 03:22:13 {ID} ** {local}@evil.example <"{local}"@evil.example> R=rem: gone'

    (found,) = read(line)

    assert found.final_recipient == f'"{local}"@evil.example'


@pytest.mark.parametrize("flag", ["**", "==", "=>", "->", ">>"])
@pytest.mark.parametrize("domain", ["catch.example", "other.example"])
def test_quoted_recipient_that_holds_the_rest_of_a_line_fails_nobody_else(flag, domain):
    local = f"victim@forged.example R=rem T=smtp H=mx.x [192.0.2.9]: {'no ' * 400}550 5.1.1 no"
    said = f'{local}@{domain} <"{local}"@catch.example> R=rem T=smtp H=mx.x [192.0.2.2]: gone'
    reader = LogReader(latest=LATEST, zone=UTC)

    joined = reader.read(f"2026-11-23 03:22:13 {ID} {flag} {said}\n".encode())

    assert [one for one in joined.deliveries if one.final_recipient[0] != '"'] == []
    assert [one for one in joined.arrived if one[:1] != b'"'] == []


def test_reply_may_hold_the_recipient_in_quotes(read):
    (found,) = read(FAILED.replace("550 5.1.1 no", '550 5.1.1 <"ann@example.org"> is gone'))

    assert found.diagnostic_code == '550 5.1.1 <"ann@example.org"> is gone'


def test_automatic_reply_that_fails_says_nothing_of_who_was_mailed(read):
    assert (
        read(FAILED.replace("** ann@", "** >stranger@example.com <ann@").replace(" R=", "> R=", 1))
        == []
    )


@pytest.mark.parametrize(
    "fields",
    ["X=TLS1.3:x:256 CV=dane SNI=mx.x K", "PRX=10.0.0.9 DS", "TFO*", "L* PIPE", "M8S=0 S=12"],
)
def test_field_of_any_selector_is_no_part_of_what_was_said(read, fields):
    (found,) = read(FAILED.replace("]: ", f"] {fields}: ", 1))

    assert found.diagnostic_code == "550 5.1.1 no"
    assert found.remote_mta


@pytest.mark.parametrize(
    "line",
    [
        f'{ARRIVED} T="** hostile@forged.example R=a T=b: 550 5.1.1"',
        f'2026-11-23 03:22:12 {ID} <= "x ** hostile@forged.example R=a: 550"@e.example H=x [1.2]',
        f'2026-11-23 03:22:12 {ID} => a@b.example R=r T=t H=m [1.2.3.4] C="250 {FAILED}"',
        "2026-11-23 03:22:12 H=(** hostile@forged.example) [1.2.3.4] rejected RCPT <x>: 550 5.1.1",
        f"2026-11-23 03:22:12 {ID} rejected ** hostile@forged.example R=a T=b: 550 5.1.1",
        f"2026-11-23 03:22:12 exim user lost privilege {FAILED[20:]}",
    ],
)
def test_forged_line_fails_nobody(read, line):
    assert [one for one in read(line) if one.state is State.BOUNCED] == []


def test_deferral_names_who_waits_and_not_what_was_said(read):
    said = f"SMTP error from remote: 451 {ID} ** hostile@forged.example R=a T=b: 550 5.1.1"

    (found,) = read(f"2026-11-23 03:22:12 {ID} == a@b.example R=r T=t defer (0): {said}")

    assert (found.final_recipient, found.state) == ("a@b.example", State.DEFERRED)


@pytest.mark.parametrize(
    ("logged", "meant"),
    [
        (r"550 5.1.1 existiert nicht \342\200\223 Gr\303\266\303\237e", "existiert nicht – Größe"),
        (r"550 5.1.1 Empf\344nger unbekannt", "Empfänger unbekannt"),
        (r"550-5.1.1 one\n550 5.1.1 two", "one 550 5.1.1 two"),
        (r"550 5.1.1 a\\b", r"a\b"),
        ("550 5.1.1 gone DT=0.003s", "gone"),
        ("550 5.1.1 gone QT=1h2m3s DT=0.003s RT=2s", "gone"),
    ],
)
def test_text_is_decoded(read, logged, meant):
    (found,) = read(FAILED.replace("550 5.1.1 no", logged))

    assert found.diagnostic_code[10:] == meant


def test_sender_in_the_failure_line_is_enough(read):
    line = FAILED.replace(" R=rem", " F=<news@sender.test> P=<news+ann@sender.test> R=rem")

    (found,) = read(line)

    assert found.reverse_path == "news+ann@sender.test"


def test_bounce_that_fails_is_marked_as_such(read):
    arrived = f"2026-11-23 03:22:12 {ID} <= <> R=1xVKdA-0005NA-23 U=exim P=local S=1982"

    (found,) = read(arrived, FAILED)

    assert found.reports_itself


def test_fields_may_stand_anywhere(read):
    line = (
        f"2026-11-23 03:22:13 {ID} ** ann@example.org F=<n@s.test> R=rem T=smtp S=303"
        " H=mx.example.org [192.0.2.1]:25 I=[10.0.0.1]:444 X=TLS1.3:ECDHE_X25519:256 CV=no"
        f' DN="C=US,L=a: b,CN=mx" A=x C="250 ok": {ERROR} DT=1m2s'
    )

    (found,) = read(line)

    assert report_of(found).diagnostic_code == "550 5.1.1 no"
    assert found.remote_mta == "mx.example.org"


def test_long_stretch_of_deferrals_alone_is_read(read):
    line = f"2026-11-23 03:22:13 {ID} == ann@example.org R=rem T=smtp defer (111): refused"

    assert len(read(*[line] * 1500)) == 1500


@pytest.mark.parametrize("tag", ["exim[{pid}]:", "exim {pid} - - "])
def test_line_that_syslog_cut_is_put_together_by_process(read, tag):
    head = "<22>1 2026-11-23T03:22:13.5Z mail " + tag
    mine, other = head.format(pid=1), head.format(pid=2)
    start = f"{FAILED} User "

    found = read(f"{mine} [1\\2] {start}", f"{other} [1\\2] x", f"{mine} [2/2] unknown")

    assert [one.diagnostic_code for one in found] == ["550 5.1.1 no User unknown"]
