"""Yahoo's failure notices, and of those that it runs mail for (AOL, AT&T, SBC, Rogers …)."""

from mtabounce.parsers._dialect import ADDRESS, ANGLED, Dialect, plain_text

PARSER = plain_text(
    42,
    (
        "we were unable to deliver your message to the following address",
        "unable to deliver message to the following address",
        "wasn't able to deliver the following message",
    ),
    Dialect(
        starts=r"unable to deliver (?:your )?message to the following address(?:\(es\))?\.?",
        recipient=ANGLED,
        stops=r"^--- ?(?:Below|Original|Begin)",
    ),
    Dialect(
        starts=r"wasn't able to deliver the following message",
        recipient=rf"^To: <?(?P<address>{ADDRESS})>?",
        stops=r"^--- ?(?:Below|Original)",
        reason=r"(?s)(?P<reason>[^\n]*wasn't able to deliver the following message.{0,600})",
    ),
)
