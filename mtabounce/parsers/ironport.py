"""Cisco's (IronPort's) mail gateways, whose words are set by their owners."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    56,
    ("was undeliverable.", "the reason for the problem:"),
    Dialect(
        starts=r"^The following message to <?",
        recipient=rf"(?P<address>{ADDRESS})>? was undeliverable",
        reason=r"reason for the problem:\s*(?P<reason>[\s\S]{1,1000}?)(?:\n[ \t]*\n|\Z)",
    ),
)
# The recipient stands in the very line that starts it.
