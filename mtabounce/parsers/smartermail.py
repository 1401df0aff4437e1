"""SmarterMail: "Failed Recipient:" and "Reason:"."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    51,
    ("failed recipient:",),
    Dialect(
        recipient=rf"^[ \t]*Failed Recipient: <?(?P<address>{ADDRESS})>?",
        stops=r"^[ \t]*-- The header",
    ),
)
