"""qmail's bounces (QSBMF, https://cr.yp.to/proto/qsbmf.txt), and those of its many children."""

from mtabounce.parsers._dialect import ANGLED, Dialect, plain_text

_INTRODUCTIONS = (
    r"^Hi\. The MTA program|^We're sorry\. There's a problem with the e-?mail address|"
    r"^(?:Hi\. )?This is the (?:qmail|\S+ )[^\n]*program|^Hi\. This is (?:the|a) "
    r"|^I'm afraid I wasn't able to deliver your message|^This is the mail (?:delivery )?agent at "
    r"|^Su mensaje no pudo ser entregado|^I tried to deliver a bounce message to this address"
    r"|machine[- ]generated message from mail service|^This is the email server at "
    r"|^Your mail message to the following address\(es\) could not be delivered"
    r"|^Your message could not be delivered|^Unable to deliver (?:your )?message to the following"
)

PARSER = plain_text(
    40,
    (
        "qmail-send",
        "hi. this is",
        "hi. the mta program",
        "there's a problem with the e-mail address(es)",
        "i'm afraid i wasn't able to deliver your message",
        "this is the mail agent at",
        "su mensaje no pudo ser entregado",
        "machine generated message from mail service",
        "i tried to deliver a bounce message",
        "this is the email server at",
        "your mail message to the following address(es) could not be delivered",
        "your message could not be delivered",
        "unable to deliver",
    ),
    Dialect(
        starts=_INTRODUCTIONS,
        recipient=ANGLED,
        stops=r"^-{2,3} ?(?:Below|Enclosed|Undelivered|Original|Mensaje)",
        reporter=r"program at (?P<host>[A-Za-z0-9.-]+)",
        delayed=r"^This is a (?:delay|warning)|has not (?:yet )?been delivered|WARNING ONLY",
    ),
    Dialect(  # Haraka, where the reason is not the remote server's
        starts=r"^Intended Recipients:",
        recipient=r"<(?P<address>[^<>\n]{1,320})>",
        stops=r"^Failure Reason:",
        reason=r"^Failure Reason:[ \t]*(?P<reason>[\s\S]{1,1000})",
    ),
)
