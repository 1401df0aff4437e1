"""The mailing list manager fml: the list's address closes a sentence."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    57,
    ("original mail as follows",),
    Dialect(
        recipient=rf"^(?P<reason>[^\n<]*)<(?P<address>{ADDRESS})>\.[ \t]*$",
        stops=r"^Original mail as follows",
    ),
)
