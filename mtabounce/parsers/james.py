"""Apache James, and gateways to phones (vtext.com): they list the message's details."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    58,
    ("error message below:", "undeliverable message. see below for details", "message details:"),
    Dialect(
        starts=r"^Error: |^\s*Message could not be delivered|see below for details",
        recipient=rf"^\s*(?:RCPT TO|To): <?(?P<address>{ADDRESS})>?",
        reason=r"(?P<reason>^Error: [\s\S]{1,600}?)^Message details",
    ),
)
