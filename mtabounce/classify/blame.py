"""
When a verdict must not blame the recipient, whatever rule fits: by when the answer came.

Before RCPT TO no server knows for whom the mail is; what it says then is said of us. And one that
says "later" knows that the address lives.
"""

import re

from ahocorasick_rs import AhoCorasick

from mtabounce.classify.evidence import Evidence

_EARLY = frozenset(
    {"CONNECT", "INITIAL CONNECTION", "EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL FROM"}
)
_LOGIN = frozenset({530, 534, 535, 538})  # RFC 4954 §6
_NO_SERVICE = frozenset({521, 556})  # RFC 7504: what a host that takes no mail greets with
_ABROAD = (
    *("vorübergehend", "zeitweilig", "später", "temporaire", "plus tard", "temporalmente"),
    *("más tarde", "temporaneamente", "più tardi", "temporariamente", "mais tarde", "tijdelijk"),
    *("временно", "позже", "тимчасово", "tymczasow", "dočasně", "geçici", "midlertidig"),
    *("暂时", "暫時", "稍后", "稍後", "一時的", "일시적"),
)
_PASSING_WORDS = AhoCorasick(
    ["tempor", "later", "retry", "right now", "busy", "try again", *_ABROAD]
)
_PASSING = re.compile(
    r"\btemporar(?:y|ily)\b|\blater\b|\bplease retry\b|\bright now\b|\bbusy\b"
    rf"|(?<!and )\btry again\b(?! with)|{'|'.join(_ABROAD)}"
)
# Queues that gave up on an answer that had no code: had it been final, it would not have queued.
_EXPIRED_WORDS = ("retry timeout", "expired", "too long")
_EXPIRED = re.compile(
    r"retry timeout exceeded|queue file (?:has )?expired|(?:message|envelope) (?:has )?expired"
    r"|in (?:the )?queue too long"
)


def is_ours(evidence: Evidence) -> bool:
    """Whether the server answered before it could know the recipient."""
    if evidence.reply_code in _NO_SERVICE:
        return False
    return evidence.command in _EARLY or evidence.reply_code in _LOGIN


def is_passing(evidence: Evidence) -> bool:
    """Whether the answer says of itself that it may be another one later."""
    if evidence.is_temporary:
        return True
    text = evidence.text.lower()
    if _PASSING_WORDS.find_matches_as_indexes(text) and _PASSING.search(text):
        return True
    if evidence.reply_code is not None or not any(word in text for word in _EXPIRED_WORDS):
        return False
    return _EXPIRED.search(text) is not None
