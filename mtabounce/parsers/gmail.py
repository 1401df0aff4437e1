"""Google's notices without a delivery status part: of Gmail, Workspace and Groups."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

_STOPS = r"^[ \t]*-{4,5} ?(?:Original message|Message header follows)"

PARSER = plain_text(
    47,
    (
        "delivery to the following recipient",
        "your message wasn't delivered to",
        "your message couldn't be delivered to",
        "there was a problem delivering your message to",
        "there was a temporary problem delivering your message to",
        "the response from the remote server was",
        "the response was:",
        "** ",
    ),
    Dialect(
        starts=r"Delivery to the following recipients? (?:has been|failed|was)[^\n]*",
        recipient=rf"^[ \t]+(?:\* )?(?P<address>{ADDRESS})[ \t]*$",
        stops=_STOPS,
        delayed=r"has been delayed|THIS IS A WARNING MESSAGE ONLY|will be retried for",
    ),
    Dialect(
        recipient=rf"(?:wasn't delivered to|couldn't be delivered to|delivering your message to)\s+"
        rf"(?P<address>{ADDRESS})",
        stops=_STOPS,
        reason=r"(?:response (?:from the remote server )?was:)\s*(?P<reason>[\s\S]{1,2000})",
        delayed=r"Gmail will retry|will be retried|Delivery incomplete",
    ),
    Dialect(
        # In whatever language: a title between asterisks, and a sentence that names one address.
        starts=r"^\*\* [^\n*]+ \*\*[ \t]*$",
        recipient=rf"\A[^@]{{0,300}}?(?P<address>{ADDRESS})",
        stops=_STOPS,
        delayed=r"Gmail will retry|Delivery incomplete|\(Delay\)",
    ),
)
