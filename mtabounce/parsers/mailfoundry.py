"""MailFoundry."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    41,
    ("delivery failed for the following reason:",),
    Dialect(
        recipient=rf"^Unable to deliver message to: <(?P<address>{ADDRESS})>",
        reason=r"following reason:\s*(?P<reason>[\s\S]{1,800}?)(?:\n[ \t]*\n|\Z)",
    ),
)
