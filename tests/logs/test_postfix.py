"""Postfix's log: what it says, in every envelope, and what strangers make it say."""

import json
import re
from datetime import UTC, datetime

import pytest

from mtabounce.logs import LogReader, State, report_of
from mtabounce.model import Action

from .lines import LATEST, LOGS

SHORT = LOGS / "postfix" / "3.7-short-ids.log"
LONG = LOGS / "postfix" / "3.7-long-ids.log"


def at(stamp, message, tag="postfix/smtp", host="mail"):
    return f"{stamp} {host} {tag}[77]: {message}"


def lines(queue_id="4A00112233", to="ann@example.org", status="bounced", text="550 5.1.1 no"):
    said = f"host mx.example.org[192.0.2.1] said: {text} (in reply to RCPT TO command)"
    return [
        at("Nov 23 03:12:17", f"{queue_id}: client=unknown[127.0.0.1]", "postfix/smtpd"),
        at("Nov 23 03:12:17", f"{queue_id}: message-id=<one@sender.test>", "postfix/cleanup"),
        at(
            "Nov 23 03:12:17",
            f"{queue_id}: from=<news@sender.test>, size=343, nrcpt=1 (queue active)",
            "postfix/qmgr",
        ),
        at(
            "Nov 23 03:12:18",
            f"{queue_id}: to=<{to}>, relay=mx.example.org[192.0.2.1]:25, delay=0.5,"
            f" delays=0.1/0/0.2/0.2, dsn={text[4:9]}, status={status} ({said})",
        ),
    ]


def states(found):
    return sorted((one.queue_id, one.final_recipient, one.state) for one in found)


def test_failure_is_joined_with_sender_and_message_id(read):
    (found,) = read(*lines())

    assert (found.host, found.instance, found.queue_id) == ("mail", "postfix", "4A00112233")
    assert found.reverse_path == "news@sender.test"
    assert found.original_message_id == "one@sender.test"
    assert found.diagnostic_code == "550 5.1.1 no"
    assert (found.command, found.remote_mta) == ("RCPT TO", "mx.example.org")
    assert found.occurred_at == datetime(2026, 11, 23, 3, 12, 18, tzinfo=UTC)


@pytest.mark.parametrize("path", [SHORT, LONG], ids=["short ids", "long ids"])
def test_real_log_is_read_whole(read, path):
    found = read(path.read_bytes())

    kinds = [one.state for one in found]
    assert kinds.count(State.BOUNCED) == 46
    assert kinds.count(State.DEFERRED) == 109
    assert kinds.count(State.EXPIRED) == 22
    assert all(one.original_message_id and one.reverse_path is not None for one in found)


def rfc3339(line):
    return b"2026-11-23T" + line[7:15] + b".123456+00:00" + line[15:]


def rfc5424(line):
    head, _, message = line[16:].partition(b": ")
    host, _, tag = head.partition(b" ")
    name, _, pid = tag.rstrip(b"]").partition(b"[")
    return b"<22>1 2026-11-23T%sZ %s %s %s - - %s" % (line[7:15], host, name, pid, message)


def rfc5424_with_data(line):
    return rfc5424(line).replace(b" - - ", b' - [origin@1 ip="::1"][x@2] \xef\xbb\xbf', 1)


def rfc5424_of_rsyslog(line):
    data = rb' ID47 [a@1 ev="App[1\]" id="\"1\""][timeQuality tzKnown="1"]  '
    return rfc5424(line).replace(b" - - ", data, 1)


def rfc5424_without_priority(line):
    return rfc5424(line).removeprefix(b"<22>")


def rfc5424_cut_at_the_slash(line):
    return re.sub(rb" postfix/[a-z/]+ ", b" postfix ", rfc5424_of_rsyslog(line), count=1)


def rfc3339_cut_at_the_slash(line):
    return re.sub(rb" postfix/[a-z/]+\[", b" postfix[", rfc3339(line), count=1)


def journal(line):
    head, _, message = line[16:].partition(b": ")
    host, _, tag = head.partition(b" ")
    name, _, pid = tag.rstrip(b"]").partition(b"[")
    second = datetime.fromisoformat(f"2026-11-23T{line[7:15].decode()}+00:00").timestamp()
    try:
        text: str | list[int] = message.decode()
    except UnicodeDecodeError:
        text = list(message)
    entry = {
        "__CURSOR": "s=0",
        "__REALTIME_TIMESTAMP": str(int(second) * 1_000_000),
        "_HOSTNAME": host.decode(),
        "SYSLOG_IDENTIFIER": name.decode(),
        "SYSLOG_PID": pid.decode(),
        "_SYSTEMD_UNIT": "postfix@-.service",
        "MESSAGE": text,
    }
    return json.dumps(entry).encode()


def with_priority(line):
    return b"<22>" + line


def crlf(line):
    return line + b"\r"


def two_blanks(line):
    return line.replace(b"]: ", b"]:  ", 1)


def docker(line):
    said = line.decode(errors="replace") + "\n"
    return json.dumps({"log": said, "stream": "stdout", "time": "2026-11-23T03:12:17.1Z"}).encode()


def docker_with_times(line):
    return b"2026-11-23T03:12:17.123456789Z " + line


def kubernetes(line):
    return b"2026-11-23T03:12:17.123456789+01:00 stdout F " + rfc3339(line)


def busybox(line):
    return line.replace(
        b" mail ", b" mail mail.warn " if b"warning" in line else b" mail mail.info ", 1
    )


def with_year(line):
    return line[:6] + b" 2026" + line[6:]


def journal_short_full(line):
    return b"Mon 2026-11-23 " + line[7:15] + b" UTC" + line[15:]


def journal_short_unix(line):
    return b"1795403537.123456" + line[15:]


@pytest.mark.parametrize(
    "envelope",
    [
        rfc3339,
        rfc5424,
        rfc5424_with_data,
        rfc5424_of_rsyslog,
        rfc5424_without_priority,
        rfc5424_cut_at_the_slash,
        rfc3339_cut_at_the_slash,
        journal,
        journal_short_full,
        journal_short_unix,
        with_priority,
        with_year,
        crlf,
        two_blanks,
        docker,
        docker_with_times,
        kubernetes,
        busybox,
    ],
)
def test_envelope_makes_no_difference(read, envelope):
    plain = SHORT.read_bytes().splitlines()

    found = read(*map(envelope, plain))

    assert states(found) == states(read(*plain))


@pytest.mark.parametrize(
    "tag",
    ["postfix", "postfix-bulk", "10.20.30.40", "postfix-10.20.30.40", "mta/submission", "a.b_c"],
)
def test_syslog_name_may_be_anything(read, tag):
    renamed = [line.replace(" postfix/", f" {tag}/") for line in lines()]

    (found,) = read(*renamed)

    assert found.instance == tag.partition("/")[0]
    assert found.reverse_path == "news@sender.test"


def test_transport_with_a_name_of_its_own_is_joined_with_its_queue_manager(read):
    *before, last = lines()

    (found,) = read(*before, last.replace(" postfix/smtp[", " slow-lane/smtp["))

    assert (found.instance, found.reverse_path) == ("postfix", "news@sender.test")


def test_two_instances_with_one_queue_id_stay_apart(read):
    other = [line.replace(" postfix/", " second/").replace("news@", "else@") for line in lines()]
    mixed = [line for pair in zip(lines(), other, strict=True) for line in pair]

    found = read(*mixed)

    assert {one.instance: one.reverse_path for one in found} == {
        "postfix": "news@sender.test",
        "second": "else@sender.test",
    }


def test_two_hosts_with_one_queue_id_stay_apart(read):
    other = [line.replace(" mail ", " mx2 ").replace("news@", "else@") for line in lines()]
    mixed = [line for pair in zip(lines(), other, strict=True) for line in pair]

    found = read(*mixed)

    assert {one.host: one.reverse_path for one in found} == {
        "mail": "news@sender.test",
        "mx2": "else@sender.test",
    }


@pytest.mark.parametrize("word", ["expired", "force-expired"])
def test_expiry_fails_each_recipient_that_still_waits(read, word):
    full = lines(to="full@example.org", status="deferred", text="452 4.2.2 mailbox full")
    grey = lines(to="grey@example.org", status="deferred", text="450 4.7.1 greylisted")[-1]
    sent = grey.replace("status=deferred (host mx", "status=sent (250 ok mx")
    late = at("Nov 28 03:12:17", "4A00112233: from=<news@sender.test>", "postfix/qmgr")

    found = read(*full, grey, sent, f"{late}, status={word}, returned to sender")

    (expired,) = [one for one in found if one.state is State.EXPIRED]
    assert expired.final_recipient == "full@example.org"
    assert (expired.status, expired.diagnostic_code) == ("4.2.2", "452 4.2.2 mailbox full")
    assert expired.attempts == 1
    assert report_of(expired).action is Action.FAILED


def to_x(original, status="deferred", text="452 4.2.2 mailbox full"):
    last = lines(to="x@example.org", status=status, text=text)[-1]
    return last.replace(">, relay=", f">, orig_to=<{original}>, relay=") if original else last


LATE = at("Nov 28 03:12:17", "4A00112233: from=<news@sender.test>, status=expired, x", "p/qmgr")
LATE = LATE.replace(" p/", " postfix/")


def test_two_who_forward_to_one_address_wait_and_fail_each(read):
    waiting = [to_x(""), to_x("amy@sender.test"), to_x("bob@sender.test")]

    found = read(*lines()[:3], *waiting, *waiting, LATE)

    failed = [(one.original_recipient, one.attempts) for one in found[6:]]
    assert failed == [("", 2), ("amy@sender.test", 2), ("bob@sender.test", 2)]


def test_arrival_for_one_lets_the_other_wait_on(read):
    waiting = [to_x(""), to_x("amy@sender.test"), to_x("bob@sender.test")]
    sent = [to_x(name, "sent", "250 2.0.0 ok") for name in ("", "bob@sender.test")]

    found = read(*lines()[:3], *waiting, *sent, LATE)

    assert [one.original_recipient for one in found[3:]] == ["amy@sender.test"]


def test_who_waits_behind_a_content_filter_fails_once(read):
    second = lines(queue_id="4A00112233", to="x@example.org", status="deferred", text="452 4.2.2 f")
    handed = at(
        "Nov 23 03:12:18",
        "5B00112233: to=<x@example.org>, orig_to=<amy@sender.test>,"
        " relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0,"
        " status=sent (250 2.0.0 Ok: queued as 4A00112233)",
    )

    # The filter's own message may be tried before the line that tells of it is written.
    found = read(*lines(queue_id="5B00112233")[:3], *second, handed, second[-1], LATE)

    assert [one.state for one in found].count(State.EXPIRED) == 1
    assert (found[-1].original_recipient, found[-1].attempts) == ("amy@sender.test", 2)


def test_lines_that_come_one_by_one_are_joined_too():
    reader = LogReader(latest=LATEST, zone=UTC)

    found = [one for line in lines() for one in reader.read(f"{line}\n".encode()).deliveries]

    assert [one.original_message_id for one in found] == ["one@sender.test"]


def test_id_of_a_mail_that_was_sent_on_is_not_that_of_this_one(read):
    first, message_id, *rest = lines()
    resent = message_id.replace("message-id=<one", "resent-message-id=<two")

    (found,) = read(first, message_id, resent, *rest)

    assert found.original_message_id == "one@sender.test"


@pytest.mark.parametrize("program", ["cleanup", "qmgr"])
def test_mail_that_went_to_no_delivery_agent_can_fail(read, program):
    first, message_id, _, _ = lines()
    says = "to=<ann@example.org>, relay=none, delay=0.2, delays=0.2/0/0/0, dsn=5.7.1"
    fails = f"4A00112233: {says}, status=bounced (no such thing here)"

    (found,) = read(first, message_id, at("Nov 23 03:12:18", fails, f"postfix/{program}"))

    assert (found.final_recipient, found.status) == ("ann@example.org", "5.7.1")
    assert found.original_message_id == "one@sender.test"


def test_clock_that_was_set_back_hides_no_failure(read):
    said = lines()[-1].replace("delay=0.5, delays=0.1", "delay=-3600, delays=-3600")

    assert len(read(said)) == 1


def test_delay_of_days_is_read(read):
    (found,) = read(lines()[-1].replace("delay=0.5, delays=0.1/", "delay=1e+05, delays=1e+05/"))

    assert found.final_recipient == "ann@example.org"


# Before Postfix 3.5, or with info_log_address_format = internal, no address is quoted.
@pytest.mark.parametrize("status", ["bounced (host mx[192.0.2.1] said: 550 no", "sent (250 ok"])
@pytest.mark.parametrize("head", ["to=<", "to=<x@catch.example>, orig_to=<"])
@pytest.mark.parametrize("end", ["sent (250 2.0.0 ok)", "bounced (gone)", "deferred (later)"])
def test_recipient_that_holds_the_rest_of_a_line_is_not_believed(status, head, end):
    delivery = "relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status="
    delivery = delivery.replace("5.1.1", "2.0.0") if "sent" in status else delivery
    forged = f"{head}victim@forged.example>, {delivery}{status}@catch.example>, {delivery}{end}"
    reader = LogReader(latest=LATEST, zone=UTC)

    joined = reader.read(at("Nov 23 03:12:18", f"4A00112233: {forged}").encode() + b"\n")

    assert (joined.deliveries, joined.arrived, joined.unreadable) == ([], {}, 1)


def test_sender_that_holds_the_word_expired_expires_nobody(read):
    first, message_id, sender, waits = lines(status="deferred", text="450 4.2.0 later")
    forged = sender.replace("news@", "a>, status=expired, returned to sender@")

    found = read(first, message_id, sender, waits, forged)

    assert [one.state for one in found] == [State.DEFERRED]


@pytest.mark.parametrize(
    ("program", "word"), [("qmgr", "removed"), ("postsuper", "removed"), ("postsuper", "requeued")]
)
def test_removed_message_lets_nobody_wait(read, program, word):
    waiting = lines(status="deferred", text="452 4.2.2 full")
    removed = at("Nov 23 04:00:00", f"4A00112233: {word}", f"postfix/{program}")
    late = at("Nov 23 05:00:00", "4A00112233: from=<x@sender.test>", "postfix/qmgr")

    found = read(*waiting, removed, f"{late}, status=expired, returned to sender")

    assert [one.state for one in found] == [State.DEFERRED]


def test_queue_id_used_again_does_not_take_the_old_sender(read):
    second = [line.replace("one@", "two@").replace("news@", "else@") for line in lines()]

    found = read(*lines(), *second)

    assert [one.reverse_path for one in found] == ["news@sender.test", "else@sender.test"]
    assert [one.original_message_id for one in found] == ["one@sender.test", "two@sender.test"]


def test_address_probe_is_no_bounce(read):
    assert read(*lines(status="undeliverable")) == []


def test_soft_bounce_only_waits(read):
    (found,) = read(*lines(status="SOFTBOUNCE"))

    assert found.state is State.DEFERRED


@pytest.mark.parametrize("sender", ["", "double-bounce@sender.test"])
def test_failed_bounce_is_marked_as_such(read, sender):
    (found,) = read(*(line.replace("news@sender.test", sender) for line in lines()))

    assert found.reports_itself


def test_line_cut_in_the_reply_is_read(read):
    *before, last = lines(text="550 5.1.1 " + "x" * 1800)

    (found,) = read(*before, last[:1500])

    assert found.state is State.BOUNCED
    assert found.diagnostic_code.startswith("550 5.1.1 xxx")


@pytest.mark.parametrize("word", ["may", "encrypt/(requiretls)", "none:may!", "dane?"])
@pytest.mark.parametrize(("status", "dsn"), [("bounced", "5.1.1"), ("sent", "2.0.0")])
def test_newer_fields_of_a_delivery_change_nothing(word, status, dsn):
    *before, last = lines(status=status, text=f"250 {dsn} ok")
    reader = LogReader(latest=LATEST, zone=UTC)
    newer = last.replace(", dsn=", f", tls={word}, dsn=")

    joined = reader.read("\n".join([*before, newer, ""]).encode())

    assert (joined.attempts, joined.unreadable) == (1, 0)
    assert [state for _, state in joined.counts] == [status]


def test_alias_keeps_the_address_that_was_mailed(read):
    *before, last = lines()

    (found,) = read(*before, last.replace(">, relay", ">, orig_to=<team@sender.test>, relay"))

    assert found.original_recipient == "team@sender.test"


def test_message_that_a_content_filter_gives_back_keeps_its_identity(read):
    first = lines(queue_id="4A00112233")[:3]
    second = [
        line.replace("one@sender.test", "rewritten@filter").replace("news@", "srs@")
        for line in lines(queue_id="5B00112233")
    ]
    handed = at(
        "Nov 23 03:12:18",
        "4A00112233: to=<ann@example.org>, relay=127.0.0.1[127.0.0.1]:10024, delay=1,"
        " delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 5B00112233)",
    )

    (found,) = read(*first, *second[:3], handed, second[3])

    assert found.queue_id == "5B00112233"
    assert (found.original_message_id, found.reverse_path) == (
        "one@sender.test",
        "news@sender.test",
    )


def test_who_was_mailed_is_known_behind_a_content_filter_after_a_restart():
    first = lines(queue_id="4A00112233")[:3]
    second = lines(queue_id="5B00112233")
    handed = at(
        "Nov 23 03:12:18",
        "4A00112233: to=<ann@example.org>, orig_to=<amy@here.test>,"
        " relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0,"
        " status=sent (250 2.0.0 Ok: queued as 5B00112233)",
    )
    before, after = (LogReader(latest=LATEST, zone=UTC) for _ in range(2))
    before.read(b"".join(line.encode() + b"\n" for line in [*first, *second[:3], handed]))
    after.join.underway.load(before.join.underway.dump())
    (found,) = after.read(second[3].encode() + b"\n").deliveries

    assert (found.final_recipient, found.original_recipient) == (
        "ann@example.org",
        "amy@here.test",
    )


def test_remote_host_cannot_give_a_message_another_identity(read):
    first = lines(queue_id="4A00112233")[:3]
    second = [line.replace("one@", "two@") for line in lines(queue_id="5B00112233")]
    lie = at(
        "Nov 23 03:12:18",
        "4A00112233: to=<ann@evil.example>, relay=mx.evil.example[192.0.2.66]:25, delay=1,"
        " delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 5B00112233)",
    )

    (found,) = read(*first, *second[:3], lie, second[3])

    assert found.original_message_id == "two@sender.test"


def counted(*text):
    """Return how many deliveries ended how, by domain."""
    joined = LogReader(latest=LATEST, zone=UTC).read("".join(f"{one}\n" for one in text).encode())
    return {(bucket.domain, str(state)): count for (bucket, state), count in joined.counts.items()}


def test_mail_that_a_content_filter_gives_back_is_counted_once():
    second = lines(queue_id="5B00112233")
    handed = at(
        "Nov 23 03:12:18",
        "4A00112233: to=<ann@example.org>, relay=127.0.0.1[127.0.0.1]:10024, delay=1,"
        " delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 5B00112233)",
    )

    found = counted(*lines(queue_id="4A00112233")[:3], *second[:3], handed, second[3])

    assert found == {("example.org", "bounced"): 1}


def test_expiry_is_counted_as_a_failure():
    full = lines(to="full@example.org", status="deferred", text="452 4.2.2 mailbox full")
    late = at("Nov 28 03:12:17", "4A00112233: from=<news@sender.test>", "postfix/qmgr")

    found = counted(*full, f"{late}, status=expired, returned to sender")

    assert found == {("example.org", "deferred"): 1, ("example.org", "bounced"): 1}


def test_equal_lines_that_syslog_put_together_are_counted_each(read):
    *before, last = lines()
    head, _, message = last.partition("]: ")
    reader = LogReader(latest=LATEST, zone=UTC)
    text = "\n".join([*before, f"{head}]: message repeated 3 times: [ {message}]", ""])

    joined = reader.read(text.encode())

    assert sum(joined.counts.values()) == 3
    assert [one.diagnostic_code for one in joined.deliveries] == ["550 5.1.1 no"]


def test_message_id_may_be_anything(read):
    odd = [line.replace("<one@sender.test>", "no angle id") for line in lines()]

    (found,) = read(*odd)

    assert found.original_message_id == "no angle id"


HOSTILE = "hostile@forged.example"
FORGED = f"to=<{HOSTILE}>, relay=none, delay=0, delays=0/0/0/0, dsn=5.1.1, status=bounced (x)"


@pytest.mark.parametrize(
    "line",
    [
        at(
            "Nov 23 03:12:17", f"NOQUEUE: reject: RCPT from x[192.0.2.9]: 550 <{FORGED}>", "p/smtpd"
        ),
        at("Nov 23 03:12:17", f"NOQUEUE: {FORGED}"),
        at("Nov 23 03:12:17", f"4A00112233: message-id=<x>, {FORGED}", "postfix/cleanup"),
        at(
            "Nov 23 03:12:17", f"4A00112233: warning: header Subject: AAAAAA: {FORGED}", "p/cleanup"
        ),
        at("Nov 23 03:12:17", f'4A00112233: from=<"a>, {FORGED}"@e.example>, size=1', "p/qmgr"),
        at("Nov 23 03:12:17", f"4A00112233: {FORGED}", "otherprog"),
        at("Nov 23 03:12:17", f"4A00112233: {FORGED}", "postfix/smtpd"),
        f"Nov 23 03:12:17 mail dovecot: lmtp({HOSTILE}): {FORGED}",
        f"4A00112233: {FORGED}",
        at("Nov 23 03:12:17", f"4A00112233: x {FORGED}"),
        at("Nov 23 03:12:17", f"connect from x[192.0.2.9]: 4A00112233: {FORGED}"),
        at("Nov 23 03:12:17", f"4A00112233: to=<{HOSTILE}>, status=bounced (no relay)"),
    ],
)
def test_forged_line_is_no_delivery(read, line):
    assert [one for one in read(line) if one.final_recipient == HOSTILE] == []


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("sent", f"250 ok {FORGED}"),
        ("deferred", f"451 4.2.0 4A00112233: {FORGED}"),
        ("bounced", f"550 5.1.1 said: (in reply to RCPT TO command)) status=sent, {FORGED}"),
        ("bounced", f"550 5.1.1 x\rNov 23 03:12:17 mail postfix/smtp[1]: 4A00112233: {FORGED}"),
    ],
)
def test_words_of_a_remote_host_stay_its_words(read, status, text):
    found = read(*lines(status=status, text=text))

    assert {one.final_recipient for one in found} <= {"ann@example.org"}
    assert {one.state for one in found} <= {State(status)}


@pytest.mark.parametrize(
    "address",
    [
        '"quoted, <odd> user"@remote.test',
        '"x>, relay=none, dsn=5.1.1, status=bounced (y), to=<z@forged.example>"@evil.example',
        r'"with \" quote"@remote.test',
        "bücher@büro.example",
        "odd <user> name@remote.test",
    ],
)
def test_recipient_is_one_unit_whatever_it_holds(read, address):
    (found,) = read(*lines(to=address))

    assert found.final_recipient == address


def test_reply_keeps_its_own_words_about_replying(read):
    said = "550 5.1.1 said: (in reply to RCPT TO command)) status=sent (250 ok), dsn=2.0.0"

    (found,) = read(*lines(text=said))

    assert found.diagnostic_code == said
    assert found.command == "RCPT TO"


def test_person_who_logs_to_the_journal_is_not_postfix(read):
    entry = json.loads(journal(lines()[-1].encode()))

    assert len(read(json.dumps(entry))) == 1
    assert read(json.dumps(entry | {"_SYSTEMD_UNIT": "session-3.scope"})) == []


def test_other_bytes_than_utf_8_are_read(read):
    *before, last = lines()

    (found,) = read(*before, last.encode().replace(b"5.1.1 no", b"5.1.1 Empf\xe4nger"))

    assert found.diagnostic_code == "550 5.1.1 Empfänger"


def test_nul_hole_hides_no_line(read):
    *before, last = lines()

    assert len(read(*before, b"\0" * 1001 + last.encode())) == 1


def test_reply_is_not_read_as_lines(read):
    reader = LogReader(latest=LATEST)

    scanned = reader.scan(b"A" * 1_000_000 + b"\n" + b"\xff\xfe\n\n" + b"x" * 70_000 + b"\n")

    assert (scanned.lines, scanned.recognized) == (4, 0)


@pytest.mark.parametrize("agent", ["smtp", "lmtp", "local", "virtual", "pipe", "error", "retry"])
def test_long_stretch_of_one_program_alone_is_read(read, agent):
    line = lines()[-1].replace("postfix/smtp[", f"postfix/{agent}[")

    assert len(read(*[line] * 1500)) == 1500
