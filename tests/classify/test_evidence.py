"""The effective status and reply code, and the text that rules look at."""

import random
import re

import pytest

from mtabounce.classify import load, reply
from mtabounce.classify.evidence import of_reply, of_report
from mtabounce.classify.reply import LONGEST
from mtabounce.model import EnhancedStatus, Outcome, Report

CLASSIFIER = load()


def report(diagnostic_code="", status=None, **others):
    return Report(
        outcome=Outcome.BOUNCE,
        final_recipient="ann@example.org",
        diagnostic_code=diagnostic_code,
        status=EnhancedStatus.find(status) if status else None,
        **others,
    )


@pytest.mark.parametrize(
    ("reply", "code", "status"),
    [
        ("550 5.1.1 <ann@example.org>: no", 550, "5.1.1"),
        ("550-5.1.1 The account\n550 5.1.1 is not here", 550, "5.1.1"),
        ("550-The account\r\n550 5.1.1 is not here", 550, "5.1.1"),
        ("550 sorry, no mailbox here by that name (#5.1.1)", 550, "5.1.1"),
        ("#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##", 550, "5.1.1"),
        ("550 #5.1.0 Address rejected", 550, "5.1.0"),
        ("550: 5.1.1 <ann@example.org>... User Unknown", 550, "5.1.1"),
        ("host mx.example.org[192.0.2.1] said: 452 4.2.2 full", 452, "4.2.2"),
        ("5.2.2 over quota", None, "5.2.2"),
        ("550 HELO of no host, see RFC2821 4.1.3", 550, None),
        ("550 no such command, see RFC 5321 Section 4.5.1", 550, None),
        ("550 see RFC 5321 4.5.1 (#5.5.2)", 550, "5.5.2"),
        ("421 closing", 421, None),
        ("connect to mx.example.org[192.0.2.1]:25: refused", None, None),
        ("connect to mx.example.org[192.0.2.1]:465: refused", None, None),
        ("the version is 5.1.1.2, the address 4.16.55.1", None, None),
        ("delivered with 250 2.1.5 ok", None, None),
        ("<550@example.org> is no user", None, None),
        ("", None, None),
    ],
)
def test_codes_are_found_where_servers_write_them(reply, code, status):
    seen = of_reply(reply)

    assert seen.reply_code == code
    assert (str(seen.status) if seen.status else None) == status


def test_status_inside_the_diagnostic_beats_the_status_field():
    seen = of_report(report("550 5.2.1 disabled", status="5.0.0"))

    assert str(seen.status) == "5.2.1"
    assert not seen.guessed


def test_status_field_decides_last_where_the_reply_held_none():
    seen = of_report(report("550 not wanted", status="5.1.1"))

    assert str(seen.status) == "5.1.1"
    assert seen.guessed


def test_status_field_counts_where_the_mta_itself_failed():
    seen = of_report(report("Host or domain name not found", status="5.4.4"))

    assert str(seen.status) == "5.4.4"
    assert not seen.guessed


def test_status_field_that_says_more_beats_a_vague_reply():
    seen = of_report(report("554 5.0.0 Service unavailable", status="5.3.0"))

    assert str(seen.status) == "5.3.0"


def test_lines_of_a_reply_are_joined_without_their_codes():
    seen = of_reply("550-5.7.1 Our system\n550-5.7.1 does not\n550 5.7.1 like it")

    assert seen.text == "550-5.7.1 Our system does not like it"


def test_line_breaks_of_exim_logs_are_spaces():
    assert of_reply("550-one\\n550 two").text == "550-one two"


def test_long_texts_are_cut():
    assert len(of_reply("550 " + "long " * LONGEST).text) <= LONGEST


@pytest.mark.parametrize(
    ("reply", "temporary"),
    [("450 4.2.2 x", True), ("550 4.1.1 x", False), ("4.4.1 x", True), ("5.1.1 x", False)],
)
def test_reply_code_says_whether_it_is_temporary_and_else_the_status(reply, temporary):
    assert of_reply(reply).is_temporary is temporary


def test_remote_host_is_taken_from_the_text_where_no_field_names_it():
    assert of_reply("host mx.example.org[192.0.2.1] said: 550 no").host == "mx.example.org"


def test_reply_to_another_recipient_in_the_same_field_is_cut_off():
    seen = of_reply("550 5.1.1 <ann@example.org>: unknown bob@example.org: 552 5.2.2 full")

    assert seen.text == "550 5.1.1 <@example.org>: unknown"
    assert str(seen.status) == "5.1.1"


HOST = "host mx.example.org [192.0.2.1]"


@pytest.mark.parametrize(
    ("wrapped", "text", "command"),
    [
        (f"{HOST} said: 550 no (in reply to RCPT TO command)", "550 no", "RCPT TO"),
        (f"{HOST} refused to talk to me: 554 no", "554 no", "CONNECT"),
        (f"SMTP error from remote host after end of data: {HOST}: 554 no", "554 no", "END OF DATA"),
        ("192.0.2.1 does not like recipient. Remote host said: 550 no", "550 no", "RCPT TO"),
        ("5.1.0 - Unknown address error 550-'5.7.1 no'", "550-'5.7.1 no'", ""),
        ("Remote Server returned '550 5.7.1 no'", "550 5.7.1 no'", ""),
    ],
)
def test_reply_is_taken_out_of_what_mtas_wrap_around_it(wrapped, text, command):
    seen = of_reply(wrapped)

    assert seen.text == text
    assert seen.command == command


def test_outermost_of_two_replies_counts():
    seen = of_reply(f"554 5.1.1 undeliverable: {HOST} said: 450 4.2.2 full")

    assert (seen.reply_code, str(seen.status)) == (554, "5.1.1")


def test_a_status_is_found_where_a_search_that_looks_back_first_finds_it():
    slow = re.compile(r"(?<![\w.])([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d|[\w-]*@|\w)")
    chance = random.Random(3)  # noqa: S311 (no secrets here)
    letters = "4455.......117 -@aé\n:"
    texts = ["".join(chance.choices(letters, k=chance.randint(5, 20))) for _ in range(20_000)]

    found = [reply._STATUS.search(text) for text in texts]

    assert [hit and hit.span(1) for hit in found] == [
        hit and hit.span(1) for hit in map(slow.search, texts)
    ]
    assert sum(map(bool, found)) > 100


@pytest.mark.parametrize("place", ["550 5.1.1 {}", "{} user unknown", "550 5.1.1 user unknown {}"])
def test_half_of_a_surrogate_pair_is_read_as_a_question_mark(place):
    text = place.format("\udcff")

    assert of_reply(text).text == place.format("?")
    assert CLASSIFIER.classify_reply(text) == CLASSIFIER.classify_reply(place.format("?"))
