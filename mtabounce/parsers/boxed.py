"""Notices in a box of equal signs, with "Technical details" (found in front of appliances)."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    46,
    ("delivery to the following recipients", "delevery to the following recipients"),
    Dialect(
        starts=r"Del[ie]very to the following recipients? (?:failed|was aborted"
        r"|has been delayed)[^\n]*",
        recipient=rf"^[ \t]*\*? ?(?P<address>{ADDRESS})[ \t]*$",
        reason=r"(?:Technical details:|reason:)\s*(?:=+\s*)?(?P<reason>[^=][\s\S]{1,800}?)"
        r"(?:^={10}|\Z)",
        delayed=r"has been delayed",
    ),
)
