"""Zoho Mail before it wrote status parts: "ERROR_CODE :550", or "[Status: Error, Address: …]"."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    43,
    ("error_code :", "[status: error, address:"),
    Dialect(
        starts=r"This message was created automatically by mail delivery",
        recipient=rf"^(?P<address>{ADDRESS})[ ,][^\n]*?(?P<reason>(?:ERROR_CODE|Error,)[^\n]*)",
        stops=r"^Received:",
    ),
    Dialect(
        starts=r"The following addresses had",
        recipient=r"\[Status: \w+, Address: <(?P<address>[^<>\n]+)>,\s*"
        r"(?P<reason>[^\]\[\n]{0,500})\]",
        stops=r"^Received:",
        delayed=r"THIS IS A WARNING MESSAGE|will be retried",
    ),
)
