"""OpenSMTPD's bounces from before it wrote delivery status parts."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    46,
    ("this is the mailer-daemon, please do not reply",),
    Dialect(
        starts=r"This is the MAILER-DAEMON, please DO NOT REPLY",
        recipient=rf"^(?P<address>{ADDRESS}|[^\s:@]{{1,64}}): ?(?P<reason>\S[^\n]*)",
        stops=r"Below is a copy of the original message",
        delayed=r"only a temporary failure report(?![\s\S]*Envelope expired)",
        local=True,
    ),
)
