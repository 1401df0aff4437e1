"""Apache James, and gateways to phones (vtext.com) made with it: they list a message's details."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

_REASON = r"(?:^Error message(?: below)?:|^(?=Error: ))\s*(?P<reason>[\s\S]{1,800}?)"

PARSER = plain_text(
    39,
    (
        "error message below:",
        "failed recipient(s):",
        "undeliverable message. see below for details",
        "message details:",
    ),
    Dialect(
        robots=True,
        starts=r"^Failed recipient\(s\):",
        recipient=rf"^[ \t]*<?(?P<address>{ADDRESS})>?[ \t]*$",
        stops=r"^Error message",
        reason=rf"{_REASON}(?:\n[ \t]*\n|\Z)",
    ),
    Dialect(
        robots=True,
        holds=r"^Error: |^Error message below:|Message could not be delivered|for details",
        recipient=rf"^[ \t]*(?:RCPT TO|To): <?(?P<address>{ADDRESS})>?",
        reason=rf"{_REASON}(?:^Message details|\Z)",
    ),
)
