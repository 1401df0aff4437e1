"""1&1 (IONOS), kundenserver.de, and GMX: prose after Exim's fashion, with nothing indented."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    43,
    ("for the following reason:", "the following address failed:", "following address\nfailed"),
    Dialect(
        starts=r"^(?:its\s+recipients\. )?(?:The )?following address(?:\(es\)|es)?\s+failed:"
        r"|of its recipients\. The following address",
        recipient=rf"^[<\"]?(?P<address>{ADDRESS})[>\"]?:?[ \t]*$",
        stops=r"^For the following reasons?:",
        reason=r"^For the following reasons?:\s*(?P<reason>[\s\S]{1,800}?)(?:\n[ \t]*\n|\Z)",
    ),
)
