"""Trend Micro's InterScan and VirusWall: a transcript of the session."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    59,
    ("sent <<<", "sent >>>", "message from interscan", "unable to deliver message to <"),
    Dialect(
        robots=True,
        recipient=rf"Sent [<>]{{3}} RCPT TO: ?<(?P<address>{ADDRESS})>",
        stops=r"\*+\s+End of message",
    ),
    Dialect(
        robots=True,
        recipient=rf"Unable to deliver message to ?<(?P<address>{ADDRESS})>",
        stops=r"\*+\s+End of message",
    ),
)
