"""MailEnable: "Recipient: [SMTP:…]" and "Reason: …"."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    51,
    ("recipient: [smtp:",),
    Dialect(
        recipient=rf"^[ \t]*Recipient: \[SMTP:(?P<address>{ADDRESS})\]",
        stops=r"^Message headers follow",
    ),
)
