"""Courier's text for people, where its status part was lost."""

from mtabounce.parsers._dialect import ANGLED, Dialect, plain_text

PARSER = plain_text(
    55,
    ("running the courier mail server", "undeliverable mail\n", "delayed mail\n"),
    Dialect(
        starts=r"^[ \t]*(?:UNDELIVERABLE|DELAYED) MAIL\s*$"
        r"|^Your message to the following recipients cannot",
        recipient=ANGLED,
        stops=r"^-{20,}",
        reporter=r"notification from (?P<host>[\w.-]*\w)",
        delayed=r"^[ \t]*DELAYED MAIL\s*$",
    ),
)
