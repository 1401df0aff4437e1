"""SurfControl E-mail Filter."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    59,
    ("transcript of the attempts to send the message follows",),
    Dialect(
        starts=r"^Your message could not be sent\.",
        recipient=rf"^Addressed To: <?(?P<address>{ADDRESS})>?",
        reason=r"(?P<reason>^Failed to send to[\s\S]{1,600}?)^-{3}",
    ),
)
