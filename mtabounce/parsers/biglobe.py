"""BIGLOBE and others of Japan whose notices name the address between lines of hyphens."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    59,
    ("----- the following addresses had delivery problems -----", "had delivery problems"),
    Dialect(
        starts=r"The following addresses had delivery problems",
        recipient=rf"^<?(?P<address>{ADDRESS})>?[ \t]*$",
        reason=r"-{3,} ?Non-delivered information ?-{3,}\s*(?P<reason>[\s\S]{1,800}?)(?:^-{3,}|\Z)",
    ),
)
