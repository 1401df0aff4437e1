"""Postfix's text for people, where its delivery status part was lost on the way."""

from mtabounce.parsers._dialect import ANGLED, Dialect, plain_text

PARSER = plain_text(
    45,
    (
        "i'm sorry to have to inform you that",
        "this is the mail system at host",
        "this is the postfix program at host",
        "the postfix program",
        "delivered to one or more",
        "the mail system\n",
        "your message could not be delivered for",
        "transcript of session follows.",
    ),
    Dialect(
        starts=r"^(?:This is the (?:mail system|postfix program) at host"
        r"|I'm sorry to have to inform"
        r"|[^\n]*delivered to one or more (?:recipients|destinations)|\s*The (?:mail system"
        r"|postfix)"
        r"|Your message could not be delivered for)",
        recipient=ANGLED,
        paragraph=True,
        delayed=r"THIS IS A WARNING ONLY|could not be delivered for (?:more than )?\d",
        reporter=r"at host (?P<host>[\w.-]*\w)",
    ),
)
