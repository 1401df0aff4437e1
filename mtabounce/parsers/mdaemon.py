"""Alt-N's MDaemon: the failed address, and a transcript of the session."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

_REASON = r"(?P<reason>(?:<--|<<<|\*  ?)[ \t]*[45]\d\d[^\n]*)"

PARSER = plain_text(
    56,
    ("failed address:", "fatal delivery errors", "did not receive a copy of your message"),
    Dialect(
        recipient=rf"^Failed address: <?(?P<address>{ADDRESS})>?",
        reason=_REASON,
    ),
    Dialect(
        starts=r"^The following addresses did NOT receive a copy of your message:",
        recipient=rf"^> ?(?P<address>{ADDRESS})[ \t]*$",
        stops=r"^--- Session Transcript",
        reason=_REASON,
    ),
)
