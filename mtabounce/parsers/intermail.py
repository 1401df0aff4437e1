"""Openwave's InterMail (au's ezweb.ne.jp and many ISPs): the address before or after the reason."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

_ALONE = rf"^[ \t]*(?:SMTP )?<(?P<address>{ADDRESS})>[ \t]*$"
_REASON = (
    r"^(?P<reason>(?:The user\(s\) |Each of the following|Your message|The following recipients?"
    r"|Following recipients?|Recipients?' mailbox|The following destination)[\s\S]{1,600}?)"
    r"(?:^-{10,}|\n[ \t]*\n(?!    Recip)|\Z)"
)

PARSER = plain_text(
    58,
    (
        "each of the following recipients was rejected",
        "the user(s) account",
        "message was undeliverable due to the following reason",
        "ezweb.ne.jp",
        "au.com",
        "uqmobile.jp",
    ),
    Dialect(
        holds=r"Each of the following|The user\(s\) account",
        recipient=rf"^ +Recipient: <(?P<address>{ADDRESS})>",
    ),
    Dialect(
        recipient=_ALONE,
        reason=r"was rejected by \S+ for the following reason:\s*(?P<reason>[^\n]+)",
        holds=r"was rejected by \S+ for the following reason:",
    ),
    Dialect(
        holds=r"Each of the following|The user\(s\) account|Your message|were unknown \(please",
        recipient=_ALONE,
        reason=_REASON,
    ),
)
