"""Challenge and response: somebody's filter asks the sender to prove that he is a person."""

import re

from mtabounce.address import parse
from mtabounce.model import Outcome, Report
from mtabounce.parsers._dates import parse_date
from mtabounce.parsers._mail import Findings, Mail, Parser, findings, message_id

_SENDER = re.compile(
    r"(?i)@(?:[\w-]+\.)*(?:boxbe\.com|spamarrest\.com|mailinblack\.com|bluebottle\.com"
    r"|vanquish\.com|knowspam\.net|choicemail\.\w+|sendio\.com|spamlion\.com|antispam\.uol\.com\.br)"
    r"|spamblocker-challenge@|antispam-?uol@|\btmda\b"
)
_HEADERS = (
    b"x-boxbe-notice",
    b"x-tmda-confirm",
    b"x-tmda-fingerprint",
    b"x-ask-auth",
    b"x-qconfirm",
)
_SUBJECT = re.compile(
    r"(?i)(?:please )?confirm (?:your|that you sent|delivery of) (?:message|e-?mail|mail)"
    r"|(?:sender|e-?mail|address) (?:address )?(?:verification|confirmation) (?:required|needed"
    r"|request)"
    r"|verification required for (?:the )?(?:e-?mail|message)|\(verify(?:ing)? [^)]*@"
    r"|(?:your )?(?:e-?mail|message) requires (?:verification|confirmation)|challenge[- ]response"
    r"|\[spam ?arrest\]|demande d'authentification de votre (?:e-?mail|mail|message)"
    r"|suspect ?mail|acceptance of your message|confirmation requise|\[?please confirm\]?"
    r"|(?:e-?mail|message) (?:to \S+ )?requires (?:confirmation|verification)"
    r"|bestätigung (?:erforderlich|ihrer (?:e-?mail|nachricht))|authentification de votre"
)
_TEXT = re.compile(
    r"(?i)(?:click (?:on )?(?:the )?(?:link|here)|reply to this|répond|cliquez|cliquer|klicken)"
    r"[^.]{0,200}(?:approved senders?|allow(?:ed)? list|guest list|white ?list|be delivered"
    r"|have it delivered|authenti|pro[uv]ve|you are (?:a )?(?:human|person|not a)|confirm)"
    r"|uses (?:spam ?arrest|boxbe|tmda|mailinblack)"
    r"|held (?:in|for) (?:quarantine|moderation)? ?(?:until|pending) (?:you|confirmation"
    r"|your reply)"
)


def _read(mail: Mail) -> Findings | None:
    return findings([_report(mail)]) if _asks(mail) else None


def _asks(mail: Mail) -> bool:
    if _SENDER.search(mail.sender) or any(name in mail.headers for name in _HEADERS):
        return True
    if mail.is_daemons or not _SUBJECT.search(mail.subject):
        return False
    return _TEXT.search(mail.text[:4096]) is not None


def _report(mail: Mail) -> Report:
    return Report(
        outcome=Outcome.CHALLENGE,
        final_recipient=parse(mail.headers.get(b"reply-to")) or parse(mail.sender),
        diagnostic_code=" ".join(mail.text[:512].split()),
        original_message_id=message_id(mail.headers.get(b"in-reply-to")),
        occurred_at=parse_date(mail.headers.get(b"date")),
    )


PARSER = Parser(rank=8, read=_read)
