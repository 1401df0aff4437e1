"""DragonFly Mail Agent: plain text, and From: MAILER-DAEMON <>."""

from mtabounce.parsers._dialect import Dialect, plain_text

PARSER = plain_text(
    46,
    ("this is the dragonfly mail agent",),
    Dialect(
        starts=r"^This is the DragonFly Mail Agent",
        recipient=r"^There was an error delivering your mail to <(?P<address>[^<>\n]+)>\.",
        stops=r"^(?:Message headers|Original message) follows?\.",
        reporter=r"Mail Agent v\S+ at (?P<host>[\w.-]*\w)",
        local=True,
    ),
)
