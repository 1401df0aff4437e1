"""KDDI's au and au one net (Japan)."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    57,
    (
        "could not be delivered to: <",
        "your mail sent on:",
        "your mail attempted to be delivered on:",
    ),
    Dialect(
        robots=True,
        starts=r"^Your mail (?:sent|attempted to be delivered) on:[^\n]*",
        recipient=rf"^[ \t]*Could not be delivered to:\s*<?(?P<address>{ADDRESS})>?"
        rf"(?P<reason>[\s\S]{{0,500}})",
    ),
)
