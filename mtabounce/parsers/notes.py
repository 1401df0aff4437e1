"""Lotus Notes and Domino."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    54,
    (
        "failure reasons",
        "was not delivered to:",
        "user not listed in",
        "domino directory",
        "your message\n",
    ),
    Dialect(
        starts=r"^-{3,}\s*Failure Reasons\s*-{3,}",
        recipient=rf"(?P<reason>[^\n]+)\n(?P<address>{ADDRESS})[ \t]*$",
        stops=r"^-{3,}\s*Returned Message",
    ),
    Dialect(
        starts=r"^[ \t]*was not delivered to:|^Your message\s*$",
        recipient=rf"^[ \t]*(?:CN=[^\n<]*)?<?(?P<address>{ADDRESS})>?[ \t]*$",
        stops=r"^because:",
        reason=r"^because:\s*(?P<reason>[\s\S]{1,1000}?)(?:\n[ \t]*\n|\Z)",
    ),
)
