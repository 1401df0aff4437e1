"""au's ezweb.ne.jp and its sisters (Japan): bilingual, the address before or after the reason."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

_REASON = (
    r"^(?P<reason>(?:The user\(s\) |Each of the following|Your message|The following recipients?"
    r"|Following recipients?|Recipients?' mailbox)[\s\S]{1,600}?)(?:^-{10,}|\n[ \t]*\n"
    r"(?!    Recip)|\Z)"
)

PARSER = plain_text(
    58,
    (
        "each of the following recipients was rejected",
        "the user(s) account",
        "ezweb.ne.jp",
        "au.com",
        "uqmobile.jp",
    ),
    Dialect(
        holds=r"Each of the following|The user\(s\) account",
        recipient=rf"^ +Recipient: <(?P<address>{ADDRESS})>",
    ),
    Dialect(
        holds=r"Each of the following|The user\(s\) account|Your message",
        recipient=rf"^<(?P<address>{ADDRESS})>[ \t]*$",
        reason=_REASON,
    ),
)
