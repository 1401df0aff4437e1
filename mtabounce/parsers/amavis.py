"""amavisd-new's notices to the sender, where their status part was lost."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    56,
    ("delivery of the email was stopped",),
    Dialect(
        starts=r"(?:to the following recipients?|^A message from <[^<>\n]*> to):[ \t]*$",
        recipient=rf"^-> <?(?P<address>{ADDRESS})>?[ \t]*$",
        stops=r"^Our internal reference code",
        reason=r"^(?P<reason>BANNED CONTENTS|VIRUS|INVALID HEADER|was considered [^\n]+)",
    ),
)
