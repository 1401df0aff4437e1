"""
Bytes to text, whatever their label says: charsets, encoded words, transfer encodings.

Every function here is total and takes time in proportion to its input: wrong labels, unknown
charsets and cut-off sequences give the best text there is, never an exception.
"""

import binascii
import re
from html import unescape
from quopri import decodestring

# What senders write, and the codec that reads it. Supersets are taken where labels are used
# loosely. Codecs that are no charsets (idna, punycode, zlib …) are not reachable from here.
_CODECS = {
    "ascii": "utf-8",
    "us-ascii": "utf-8",
    "ansi_x3.4-1968": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "utf-7": "utf-7",
    "unicode-1-1-utf-7": "utf-7",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "iso-8859-1-i": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "macintosh": "mac-roman",
    "x-mac-roman": "mac-roman",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "x-gbk": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "cp936": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "cp950",
    "big5-hkscs": "big5hkscs",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "iso-2022-kr": "iso2022_kr",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-2022-jp-1": "iso2022_jp_ext",
    "iso-2022-jp-2": "iso2022_jp_2",
    "iso-2022-jp-3": "iso2022_jp_3",
    "iso-2022-jp-ms": "iso2022_jp_ext",
    "cp50220": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "csiso2022jp": "iso2022_jp_ext",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ms_kanji": "cp932",
    "euc-jp": "euc_jp",
    "x-euc-jp": "euc_jp",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "tcvn": "cp1258",
}
_FAMILIES = re.compile(r"(?:iso-?8859|windows|cp|ibm)[-_]?(\d{1,4})")
_HIDDEN_IN_ASCII = frozenset({"utf-7", "unicode-1-1-utf-7", "hz-gb-2312"})
_WORD = re.compile(rb"=\?([^\s?*]{1,40})(?:\*[^\s?]{0,20})?\?([bBqQ])\?([^\s?]*)\?=")
_BETWEEN_WORDS = re.compile(rb"(\?=)[ \t\r\n]+(?==\?)")
_FOLD = re.compile(rb"\r?\n[ \t]*")
_ESCAPE = b"\x1b"  # what ISO-2022 texts switch their character sets with
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_BREAKS = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/pre|/title)\b[^<>]*>", re.IGNORECASE)
_GAPS = re.compile(  # what a reader sees as a blank line
    r"<br\b[^<>]*>\s{0,80}(?=<br\b)|<p\b[^<>]*>(?:\s|&nbsp;|<br\b[^<>]*>){0,80}</p\s*>"
    r"|<div\b[^<>]*>(?:\s|&nbsp;|<br\b[^<>]*>){0,80}</div\s*>",
    re.IGNORECASE,
)
_CELL = re.compile(r"</t[dh]\b[^<>]*>", re.IGNORECASE)
_GAP = "\0"  # stands for it while lines are sorted out
_INVISIBLE = ("style", "script")
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9:]*(?:\s[^<>]*)?/?>|<![^<>]*>")
_SPACES = re.compile(r"[ \t\xa0]+")
_PRE = re.compile(r"<pre\b[^<>]*>|</pre\s*>", re.IGNORECASE)


def codec_of(label: str) -> str:
    """Return the Python codec for a charset label; "" where there is none to be trusted."""
    label = label.strip("\"' ").lower()
    if known := _CODECS.get(label):
        return known
    if family := _FAMILIES.fullmatch(label):
        return _numbered("iso8859-" if label.startswith("iso") else "cp", int(family[1]))
    return ""


def _numbered(prefix: str, number: int) -> str:
    codec = f"{prefix}{number}"
    try:
        b"a".decode(codec)
    except LookupError:
        return ""
    return codec


def to_text(data: bytes, label: str = "") -> str:
    """Decode *data* by its label, or by what it looks like where the label is wrong."""
    is_plain = data.isascii() and _ESCAPE not in data and b"\0" not in data
    if is_plain and label not in _HIDDEN_IN_ASCII:
        return data.decode("ascii")  # most mail ends here
    text = _decoded(data, label.lower()).replace("\0", "")
    return text.encode("utf-8", "replace").decode("utf-8")  # UTF-7 can smuggle surrogates in


def _decoded(data: bytes, label: str) -> str:
    if _ESCAPE in data and not label.startswith("iso-2022"):
        label = "iso-2022-jp"
    for codec in (codec_of(label), "utf-8"):
        if codec:
            try:
                return data.decode(codec)
            except UnicodeError:
                continue
    codec = codec_of(label)
    return _damaged(data) if codec in ("", "utf-8") else data.decode(codec, "replace")


def _damaged(data: bytes) -> str:
    """Decode what claims to be UTF-8 and is not: a cut or broken one, or Latin-1."""
    text = data.decode("utf-8", "replace")
    lost = text.count("\N{REPLACEMENT CHARACTER}")
    read = len(text) - len(text.encode("ascii", "ignore")) - lost
    return text if read > lost else data.decode("cp1252", "replace")


def unfold(value: bytes) -> bytes:
    """Join the lines of a folded header value."""
    return _FOLD.sub(b" ", value) if b"\n" in value else value


def header_text(value: bytes) -> str:
    """Return a header value as text: unfolded, its encoded words (RFC 2047) decoded."""
    value = unfold(value).strip()
    if b"=?" not in value:
        return to_text(value)
    value = _BETWEEN_WORDS.sub(rb"\1", value)
    text, end = [], 0
    for word in _WORD.finditer(value):
        text += [to_text(value[end : word.start()]), _word_text(word)]
        end = word.end()
    return "".join([*text, to_text(value[end:])])


def _word_text(word: re.Match[bytes]) -> str:
    label, encoding, encoded = word.groups()
    is_base64 = encoding in b"bB"
    data = from_base64(encoded) if is_base64 else decodestring(encoded.replace(b"_", b" "))
    return _SPACES.sub(" ", to_text(data, label.decode("ascii", "replace").lower()))


def from_base64(data: bytes) -> bytes:
    """Decode base64, passing over what does not belong in it; a cut-off end is dropped."""
    clean = _NOT_BASE64.sub(b"", data)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    try:
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
    except binascii.Error:
        return b""


def from_transfer_encoding(data: bytes, encoding: bytes) -> bytes:
    """Undo a Content-Transfer-Encoding (in lower case); unknown ones are taken for none."""
    if encoding == b"base64":
        return from_base64(data)
    if encoding == b"quoted-printable":
        return decodestring(data)
    return data


def html_text(html: str) -> str:
    """Return what a reader of *html* sees, a line for each block; <pre> as it stands."""
    for tag in _INVISIBLE:
        html = _without(html, tag)
    pieces = enumerate(_PRE.split(html))
    told = [_set_text(piece) if number % 2 else _running_text(piece) for number, piece in pieces]
    return "\n".join(filter(None, told))


def _running_text(html: str) -> str:
    """Return the lines of *html*; what is indented by spaces that do not break stays so."""
    marked = _BREAKS.sub("\n", _GAPS.sub(f"\n{_GAP}\n", html))
    text = unescape(_TAG.sub("", _CELL.sub(" ", marked)))
    lines = "\n".join(_line(line) for line in text.splitlines() if line.strip())
    return lines.replace(_GAP, "")


def _line(text: str) -> str:
    shown = text.strip(" \t").rstrip()
    said = shown.lstrip()
    return " " * (len(shown) - len(said)) + _SPACES.sub(" ", said)


def _set_text(html: str) -> str:
    return unescape(_TAG.sub("", _BREAKS.sub("\n", html))).replace("\xa0", " ").strip("\n")


def _without(html: str, tag: str) -> str:
    """Drop the elements *tag*, by looking for text: a pattern would be quadratic here."""
    folded = html.lower() if html.isascii() else "".join(map(_ascii_lower, html))
    kept, end = [], 0
    while (start := folded.find(f"<{tag}", end)) >= 0:
        kept.append(html[end:start])
        end = folded.find(f"</{tag}", start)
        if end < 0:
            return "".join(kept)
    return "".join([*kept, html[end:]])


def _ascii_lower(char: str) -> str:
    return char.lower() if char.isascii() else char
