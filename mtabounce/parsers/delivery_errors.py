"""Gateways that list "addresses with delivery errors" with the reason in brackets (Japan)."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    49,
    ("the following addresses had delivery errors",),
    Dialect(
        starts=r"^-*\s*The following addresses had delivery errors\s*-*",
        recipient=rf"^[ \t]*<?(?P<address>{ADDRESS})>?[ \t]*(?:\[(?P<reason>[^\]\n]*)\])?",
        delayed=r"could not send mail for past|will (?:keep|continue) trying",
    ),
)
