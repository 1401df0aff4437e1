"""Google Groups that do not exist, or take no mail from the sender: told in every language."""

import re

from mtabounce.address import parse
from mtabounce.model import Action
from mtabounce.parsers._dialect import failed_recipients, report_of
from mtabounce.parsers._mail import Findings, Mail, Parser, findings

# Only the name of the group, in parentheses or quotes, is the same in every language.
_REASON = "the group may not exist, or you may not have permission to post messages to the group"
_GROUP = re.compile(r"[(（「„«\"“]([A-Za-z0-9._+-]{1,64})[)）」“»\"”]")


def _read(mail: Mail) -> Findings | None:
    if "googlemail.com" not in mail.sender and "google.com" not in mail.sender:
        return None
    addresses = failed_recipients(mail) or _sent_to(mail)
    return findings(report_of(mail, address, Action.FAILED, _REASON) for address in addresses)


def _sent_to(mail: Mail) -> list[str]:
    """Return the group to which the returned mail was sent, where the text names it."""
    group = _GROUP.search(mail.prose[0])
    to = parse(mail.quoted_headers.get(b"to"))
    return [to] if group and to.partition("@")[0].lower() == group[1].lower() else []


PARSER = Parser(rank=48, read=_read, marks=("groups.google.com/support", "google group"))
