"""Digital Arts' m-FILTER (Japan), under whatever name its owner gave it."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    57,
    ("-------server message", "m-filter"),
    Dialect(
        robots=True,
        holds=r"^-------server message",
        recipient=rf"^<?(?P<address>{ADDRESS})>?[ \t]*$",
        stops=r"^-------server message",
        reason=r"^-------server message[ \t]*\n(?P<reason>[\s\S]{1,2000}?)(?:^-------original|\Z)",
    ),
)
