"""Texts that differ in names and numbers only are one kind of text."""

import pytest

from mtabounce.mask import clusters, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("550 5.1.1 <ann@example.org>: no such user", "550 5.1.1 <address>: no such user"),
        ("554 [192.0.2.17] is listed at bl.example.net", "554 <ip> is listed at <host>"),
        ("550 see https://example.net/x?id=7 now", "550 see <url> now"),
        ("451 4.7.1 try in 86400 seconds", "451 4.7.1 try in <number> seconds"),
        ("552 5.2.2 quota 95% used, 12 mails.", "552 5.2.2 quota <number>% used, <number> mails."),
        ("mx1 said: 421 too many (20)", "mx1 said: 421 too many (<number>)"),
        ("554 box 450 of 550 is gone", "554 box <number> of <number> is gone"),
        ("450 id a1b2c3d4e5 refused", "450 id <id> refused"),
        ("550  two\n lines", "550 two lines"),
        ("2001:db8::17 blocked", "<ip> blocked"),
    ],
)
def test_what_is_a_mails_own_is_masked(text, masked):
    assert mask(text) == masked


def test_biggest_cluster_comes_first():
    found = clusters([("no a@b.c", 1, 1), ("odd", 2, 2), ("no d@e.f", 3, 3)])

    assert [(one.masked, one.count, one.example, one.number) for one in found] == [
        ("no <address>", 4, "no a@b.c", 1),
        ("odd", 2, "odd", 2),
    ]


def test_long_text_is_cut():
    assert len(mask("word " * 100_000)) == 400
