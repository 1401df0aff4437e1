"""Trustwave's (Marshal's, NetIQ's) MailMarshal."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

PARSER = plain_text(
    59,
    ("the following recipients were affected", "could not be delivered because of"),
    Dialect(
        starts=r"^The following recipients were affected:",
        recipient=rf"^[ \t]+<?(?P<address>{ADDRESS})>?[ \t]*$",
        stops=r"^Additional Information",
        reason=r"delivered because of\s*(?P<reason>[\s\S]{1,800}?)\n[ \t]*(?:\n|The following)",
        reporter=r"^Reporting-MTA:\s*<(?P<host>[^<>\n]+)>",
    ),
)
