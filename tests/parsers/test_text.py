"""Addresses, charsets, dates and headers, right and wrong ones."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mtabounce.address import normalize, parse, parsed_domain, written_out
from mtabounce.charset import codec_of, from_base64, header_text, html_text, to_text
from mtabounce.mime import Message, unify_line_ends
from mtabounce.parsers._dates import parse_date


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        ('"ann"@example.org', "ann@example.org"),
        ('"a b"@example.org', '"a b"@example.org'),
        ("ann..x.@docomo.ne.jp", "ann..x.@docomo.ne.jp"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@Straße.example", "ann@xn--strae-oqa.example"),
        ("ann@STRASSE.example", "ann@strasse.example"),
        ("ann@ΒΌΛΟΣ.example", "ann@xn--nxasmq6b.example"),
        ("ann@βόλος.example", "ann@xn--nxasmm1c.example"),
        ("ann@i❤.example", "ann@xn--i-7iq.example"),
        ("ΝΊΚΟΣ@example.org", "νίκοσ@example.org"),
        ("νίκος@example.org", "νίκοσ@example.org"),
        ("jos\u0065\u0301@example.org", "josé@example.org"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@example.org.", "ann@example.org"),
        ("a_b+c=d@host_name.example", "a_b+c=d@host_name.example"),
    ],
)
def test_addresses_that_are_the_same_have_the_same_key(address, key):
    assert normalize(address) == key
    assert parsed_domain(address) == key.rpartition("@")[2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "a@b@c",
        "ann@example..org",
        "ann@exam ple.org",
        "ann @example.org",
        "ann@example.org\nbcc:x",
        "ann@example.org,bob@example.org",
        "ann@example.org\0",
        "x" * 310 + "@example.org",
        "ann@" + "ü" * 63 + ".example",
        "ann@" + "ü" * 70 + ".example",
        "ann@exa\u200dmple.org",  # an invisible sign, pasted with the rest
        "ann@evil.example＠example.org",  # which full-width sign is the "@"?
        "ann@example。。org",
        "ann@" + ".".join(["ü" * 60] * 8),
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        normalize(text)


@pytest.mark.parametrize(
    ("domain", "written"),
    [
        ("xn--strae-oqa.example", "straße.example"),
        ("xn--bcher-kva.xn--nxasmm1c", "bücher.βόλος"),
        ("example.org", "example.org"),
        ("xn--a-vum.example", "xn--a-vum.example"),  # of a capital: no domain has it
        ("xn--\x7f.example", "xn--\x7f.example"),
        ("", ""),
    ],
)
def test_domain_as_people_write_it(domain, written):
    assert written_out(domain) == written


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Ann <ann@example.org>", "ann@example.org"),
        ("<@relay.example:ann@example.org>", "ann@example.org"),
        ("alice@ex.org <bob@evil.example>", "bob@evil.example"),
        ("alice@ex.org)bob@evil.example", ""),
        ("<ann@example.org> <bob@example.org>", ""),
        ("ann@example.org, bob@example.org", ""),
        ("<ann@example.org> and more", ""),
        ("Ann", ""),
    ],
)
def test_one_address_is_found_or_none(text, address):
    assert parse(text) == address


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        ("Grüße".encode(), "utf-8", "Grüße"),
        ("Grüße".encode(), "us-ascii", "Grüße"),
        ("Grüße".encode("cp1252"), "utf-8", "Grüße"),
        ("Grüße".encode("cp1252"), "no-such-charset", "Grüße"),
        ("邮件地址不存在".encode()[:-1], "utf-8", "邮件地址不存\N{REPLACEMENT CHARACTER}"),
        (
            "Grüße,\xff Ann".encode().replace(b"\xc3\xbf", b"\xff"),
            "",
            "Grüße,\N{REPLACEMENT CHARACTER} Ann",
        ),
        ("にゃーん".encode("iso2022_jp"), "iso-2022-jp", "にゃーん"),
        ("にゃーん".encode("iso2022_jp"), "us-ascii", "にゃーん"),
        ("にゃーん".encode("cp932"), "Shift_JIS", "にゃーん"),
        ("无法投递".encode("gb18030"), "gb2312", "无法投递"),
        ("не доставлено".encode("koi8-r"), "koi8-r", "не доставлено"),
        (b"a\0b", "utf-8", "ab"),
        (b"+2D0-", "utf-7", "?"),
        (b"abc", "zlib", "abc"),
        (b"abc", "idna", "abc"),
    ],
)
def test_text_is_decoded_whatever_its_label_says(data, label, text):
    assert to_text(data, label) == text


def test_codecs_that_are_no_charsets_are_out_of_reach():
    assert [
        codec_of(label) for label in ("idna", "punycode", "zip", "rot13", "cp99", "iso-8859-99")
    ] == [""] * 6


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" =?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?b?R3LDvMOf?=\n =?utf-8?b?ZQ==?=", "Grüße"),
        (b"=?iso-8859-1*de?q?Gr=FC=DFe_an?= Ann", "Grüße an Ann"),
        (b"=?utf-8?b?broken", "=?utf-8?b?broken"),
        (b"=?none?b?R3I=?=", "Gr"),
        (b"one\n two", "one two"),
    ],
)
def test_header_values_are_unfolded_and_decoded(value, text):
    assert header_text(value) == text


def test_damaged_base64_gives_what_it_holds():
    assert from_base64(b"R3I=") == from_base64(b"R3\r\n I") == b"Gr"
    assert from_base64(b"R") == b""


def test_html_is_read_as_a_reader_sees_it():
    html = "<style>p{x}</style><p>Not&nbsp;sent to <b>a@b.test</b><br>&lt;c@d.test&gt;</p><script>x"

    assert html_text(html) == "Not sent to a@b.test\n<c@d.test>"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        (
            "Mon, 23 Nov 2026 03:27:35 +0100 (CET)",
            datetime(2026, 11, 23, 3, 27, 35, tzinfo=timezone(timedelta(hours=1))),
        ),
        ("23 Nov 26 3:27 GMT", datetime(2026, 11, 23, 3, 27, tzinfo=UTC)),
        ("Mon Nov 23 03:27:35 2026", datetime(2026, 11, 23, 3, 27, 35, tzinfo=UTC)),
        ("2026-11-23T03:27:35Z", datetime(2026, 11, 23, 3, 27, 35, tzinfo=UTC)),
        ("23 Nov 2026 03:27:60 -0000", datetime(2026, 11, 23, 3, 27, 59, tzinfo=UTC)),
        (
            "23 Nov 2026 03:27:35 EST",
            datetime(2026, 11, 23, 3, 27, 35, tzinfo=timezone(timedelta(hours=-5))),
        ),
        ("32 Nov 2026 03:27:35 +0000", None),
        ("23 Foo 2026 03:27:35 +0000", None),
        ("23 Nov 2026 03:27:35 +9999", None),
        ("", None),
        ("5", None),
    ],
)
def test_dates_are_read_or_none(text, when):
    assert parse_date(text) == when


def test_headers_are_found_in_any_case_and_from_the_top():
    headers = Message(b"SUBJECT: one\nsubject: two\nReceived: a\nreceived:\n b\n\n").headers

    assert (headers.get(b"subject"), headers.get(b"none")) == ("one", "")
    assert [value.strip() for value in headers.all_raw(b"received")] == [b"a", b"b"]
    assert b"subject" in headers
    assert len(headers) == 2


def test_stray_carriage_returns_are_no_line_ends():
    assert unify_line_ends(b"a\r\nb\rc\nd\n") == b"a\nbc\nd\n"
    assert unify_line_ends(b"a\rb\rc\n") == b"a\nb\nc\n"


def test_html_keeps_what_is_set_as_it_stands():
    html = (
        "<p>Not sent:</p><pre>  a@b.test\n    550 &lt;no&gt;\n\nReceived: x\n</pre><br>"
        "&nbsp; c@d.test"
    )

    assert html_text(html) == ("Not sent:\n  a@b.test\n    550 <no>\n\nReceived: x\n  c@d.test")
