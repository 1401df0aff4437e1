"""hMailServer: the address, then "Error Type: SMTP" and what was sent and replied."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    51,
    ("error type:", "hmailserver"),
    Dialect(
        recipient=rf"^[ \t]*(?P<address>{ADDRESS})[ \t]*\n[ \t]*Error Type:[^\n]*",
        stops=r"^hMailServer[ \t]*$",
    ),
)
