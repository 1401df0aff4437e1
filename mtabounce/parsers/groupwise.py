"""Novell GroupWise, and its Internet agent."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    55,
    ("was undeliverable to the following", "groupwise"),
    Dialect(
        starts=r"(?:was undeliverable|could not be delivered) to the following[^\n]*:",
        recipient=rf"^[ \t]+(?P<address>{ADDRESS}|[^\s()]{{1,64}})(?: [^\n(]*)?[ \t]*"
        rf"(?:\((?P<reason>[^()\n]+)\))?[ \t]*$",
        local=True,
    ),
)
