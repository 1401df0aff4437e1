"""Gateways that "had trouble delivering", with the server's answer in brackets."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    57,
    ("we had trouble delivering your message", "rejected recipient <"),
    Dialect(
        starts=r"error\(s\):|We had trouble delivering",
        recipient=rf"SMTP Server <[^<>\n]*> rejected recipient <(?P<address>{ADDRESS}?)>"
        r"(?:[^\[]{0,200}\[(?P<reason>[^\]\n]*)\])?",
    ),
)
