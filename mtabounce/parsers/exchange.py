"""
Exchange and Outlook, from Exchange 5.5 to Microsoft 365, where no status part came through.

Their prose is translated into forty languages. What is not: the section for administrators, in
which an address alone on its line is followed by the reply ("#550 5.1.1 … ##", "Remote Server
returned '550 …'"), and in the oldest "MSEXCH:" and "<host #5.1.1 smtp;550 …>".
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from mtabounce.model import Action, EnhancedStatus, Report
from mtabounce.parsers._dialect import ADDRESS, Dialect, report_of
from mtabounce.parsers._mail import Findings, Mail, Parser, findings
from mtabounce.parsers._prose import has_failed

_SERVER = re.compile(r"(?m)^[^\n:：]{3,60}[:：] ?(?P<host>[A-Za-z0-9][\w.-]*\.[\w.-]*\w)[ \t]*$")
_REPLIED = re.compile(
    rf"(?m)^(?P<address>{ADDRESS})(?:<mailto:[^>\n]*>)?[ \t]*\n(?:[ \t]*\n)*"
    r"(?:[^\n]{0,200}\n){0,2}?"
    r"(?P<reason>[^\n]*(?:#\s*<?[^\n]*#|#?[245]\d\d[ -]|'[245]\d\d |[245]\.\d\.\d{1,3} |RESOLVER\.|"
    r"SMTPSEND\.|STOREDRV\.|ROUTING\.|QUEUE\.|MSEXCH)[^\n]*(?:\n[ \t]+[^\n]+)*)"
)
_LISTED = re.compile(rf"(?m)^[ \t]*(?P<address>{ADDRESS})<mailto:(?P=address)>")
_DELAYED = re.compile(
    r"(?i)delivery is delayed|has been delayed|verzögert|retardé|retrasad|a été différé"
)
# It arrived, or went where nobody tells: so the subject begins, where the text does not say more.
_ARRIVED = re.compile(
    r"(?i)[ \t]*(?:delivered|relayed|expanded|zugestellt|übermittelt|weitergeleitet|erweitert"
    r"|remis|transmis|relayé|entregado|retransmitido|recapitat[oi]|consegnato|inoltrato|entregue"
    r"|bezorgd|doorgestuurd|levererat|leveret|dostarczono|doručeno|доставлено|配信済み|已送达|已送達"
    r"|배달됨)[ \t]*[:：]"
)
_STATUS = re.compile(r"#([245]\.\d{1,3}\.\d{1,3})\b")

_OLD = Dialect(
    starts=r"did(?: |\n)not(?: |\n)reach (?:some or all of the intended|the following) recipients?"
    r"(?:\(s\))?[.:]?|the following recipient\(s\) (?:could|cannot) (?:not )?be reached:?"
    r"|konnte(?:n)? (?:einige|die folgenden)[^\n]*Empf[^\n]*(?:erreich|zugestellt)[^\n]*"
    r"|n'a pas atteint[^\n]*|non ha raggiunto[^\n]*|no se pudo entregar a[^\n]*"
    r"|no lleg(?:ó|o) a [^\n]*destinatari[^\n]*|n(?:ã|a)o (?:alcan(?:ç|c)ou|chegou)[^\n]*destinat"
    r"[^\n]*|heeft (?:enkele|een aantal|sommige)[^\n]*niet bereikt[^\n]*|nie dotar(?:ł|l)a do[^\n]*"
    r"|n(?:å|a)dde inte[^\n]*mottagar[^\n]*|n(?:å|a)ede ikke[^\n]*modtager[^\n]*"
    r"|не доставлено [^\n]*получател[^\n]*|受信者に(?:届|配信)[^\n]*"
    r"|(?:没有|未能)到达[^\n]*收件人[^\n]*",
    recipient=rf"^[ \t]*'?(?:[^\n]*SMTP=)?(?P<address>{ADDRESS})'?;?(?: \([^)\n]*\))?"
    r"(?: (?:on|am|le|el|il|op|em|den|dnia|at) \d?\w|[ \t]+\d{1,4}[./-]\d)",
    stops=r"^Original message|^Your message was sent",
)
# Microsoft 365's page for people, as it looks without its tables.
_ROW = re.compile(rf"(?m)^Recipient Address:[ \t]*(?P<address>{ADDRESS})[ \t]*$")
_ERROR = re.compile(
    r"(?m)^Reported error:\s*(?P<reason>[\s\S]{1,1200}?)"
    r"(?:\n[ \t]*\n|\n(?:DSN|Remote)[^\n:]*:|\Z)"
)


def _read(mail: Mail) -> Findings | None:
    if not mail.is_notice:
        return None
    return _reported(mail) or findings(_replied(mail)) or _OLD.read(mail) or _listed(mail)


def _reported(mail: Mail) -> Findings | None:
    row, error = _ROW.search(mail.text), _ERROR.search(mail.text)
    if row is None or error is None:
        return None
    return findings([report_of(mail, row["address"], Action.FAILED, error["reason"])])


def _replied(mail: Mail) -> Iterator[Report]:
    text = mail.text
    action = _action(mail)
    seen: set[str] = set()
    for found in _REPLIED.finditer(text):
        address = found["address"]
        if address.lower() not in seen:
            seen.add(address.lower())
            server = list(_SERVER.finditer(text, max(0, found.start() - 400), found.start()))
            report = report_of(mail, address, action, found["reason"])
            status = _STATUS.search(found["reason"])
            yield replace(
                report,
                reporting_mta=server[-1]["host"] if server else "",
                status=EnhancedStatus.find(status[1]) if status else None,
            )


def _action(mail: Mail) -> Action:
    if _ARRIVED.match(mail.subject) and not has_failed(mail.prose[0]):
        return Action.DELIVERED
    return Action.DELAYED if _DELAYED.search(mail.text[:4096]) else Action.FAILED


def _listed(mail: Mail) -> Findings | None:
    """Read a notice that ends before the section for administrators."""
    text, action = mail.text, _action(mail)
    people = {found["address"].lower(): found for found in _LISTED.finditer(text)}
    said = {key: text[found.end() : found.end() + 600] for key, found in people.items()}
    return findings(
        report_of(mail, found["address"], action, said[key]) for key, found in people.items()
    )


PARSER = Parser(
    rank=62,  # after those whose own words are surer
    read=_read,
    marks=(
        "remote server returned",
        "reported error:",
        "delivery has failed to these recipients",
        "<mailto:",
        "##",
        "resolver.",
        "generating server",
        "recipient(s)",
        "recipient(s) could not be reached",
        "msexch",
        "did not reach",
        "did not\nreach",
        "system administrator",
        "undeliverable:",
        "destinatarios",
        "destinatários",
        "niet bereikt",
        "mottagar",
        "modtager",
        "nie dotarła",
        "получател",
        "受信者に",
        "收件人",
    ),
)
