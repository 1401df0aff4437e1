"""Ipswitch IMail."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    56,
    (
        "unknown user:",
        "unknown host:",
        "user mailbox exceeds allowed size:",
        "invalid final delivery userid:",
        "undeliverable to ",
        "delivery failed ",
    ),
    Dialect(
        holds=r"^(?:Unknown (?:user|host):|User mailbox exceeds|Invalid final delivery)",
        recipient=rf"^(?P<reason>[A-Z][a-z][^\n:]{{3,60}}):? +(?P<address>{ADDRESS})[ \t]*$",
        stops=r"^Original message",
    ),
    Dialect(
        recipient=rf"^(?:undeliverable to|Delivery failed \d+ attempts:) "
        rf"(?P<address>{ADDRESS})[ \t]*$",
        reason=r"(?:generated response:|attempts: \S+)\s*(?P<reason>[\s\S]{1,1200}?)(?:\n[ \t]*\n"
        r"|\Z)",
    ),
)
