"""Smail, and T-Online, which has kept its notices: a box with the failed addresses."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    43,
    ("failed addresses follow:",),
    Dialect(
        starts=r"Failed addresses follow:[-| ]*$",
        recipient=rf"^[ \t]*<?(?P<address>{ADDRESS})>?(?: \.\.\.|:|[ \t]*$)",
        stops=r"Message (?:header|text) follows:",
        delayed=r"deferred addresses follow",
    ),
)
