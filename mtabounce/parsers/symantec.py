"""Symantec's (MessageLabs') delivery agent in the cloud."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    56,
    ("symantec email security.cloud", "messagelabs"),
    Dialect(
        starts=r"unable to deliver your message to the following address(?:es)?:",
        recipient=rf"^<?(?P<address>{ADDRESS})>?:?[ \t]*$",
        stops=r"^The message (?:subject|was)",
    ),
)
