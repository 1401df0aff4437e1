"""BIGLOBE (Japan) and McAfee: a list of "addresses with delivery problems"."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    49,
    ("the following addresses had delivery problems",),
    Dialect(
        starts=r"The following addresses had delivery problems[ -]*$",
        # Sendmail 8.7 wrote the same line, and the reason into a transcript.
        recipient=rf"^[ \t]*<?(?P<address>{ADDRESS})>?[ \t]*"
        r"(?:\((?!unrecoverable error|transient failure)(?P<reason>[^()\n]*)\))?[ \t]*$",
        stops=r"^ *-{3,} ?(?:Original|Returned|Message)",
    ),
)
