"""Reading what mail systems write for people: replies, commands and hosts in running text."""

import re

from mtabounce.model import EnhancedStatus

REASON_LIMIT = 2048  # characters of running text that are taken for a reason

_COMMAND = re.compile(
    r"in reply to (?:the )?(?P<a>[A-Za-z ]{3,30}?) command"  # Postfix
    r"|after (?:pipelined )?(?:sending )?(?P<b>RCPT TO|MAIL FROM|DATA|HELO|EHLO|STARTTLS|AUTH"
    r"|end of data|data block|initial connection)\b"  # Exim
    r"|(?:>>>|sent:) ?(?P<c>RCPT TO|MAIL FROM|DATA|HELO|EHLO|STARTTLS|AUTH|QUIT)\b"  # sendmail
    r"|did not like our (?P<d>RCPT TO|MAIL FROM|DATA|EHLO|HELO|STARTTLS|final DATA)"  # dma
    r"|(?P<e>does not like (?:recipient|sender)|failed after I sent the message"
    r"|greeting failed|my name was rejected)",  # qmail
    re.IGNORECASE,
)
_COMMANDS = {
    "rcpt": "RCPT TO",
    "mail": "MAIL FROM",
    "data": "DATA",
    "end of data": "DATA",
    "final data": "DATA",
    "data block": "DATA",
    "initial connection": "CONNECT",
    "does not like recipient": "RCPT TO",
    "does not like sender": "MAIL FROM",
    "failed after i sent the message": "DATA",
    "greeting failed": "CONNECT",
    "my name was rejected": "EHLO",
}
_HOST = r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]"
_REMOTE = re.compile(
    rf"(?:^|[\s(])host (?P<a>{_HOST}) ?\[[0-9A-Fa-f.:]+\]"  # Postfix, Exim
    rf"|while talking to (?:\[?)(?P<b>{_HOST})"  # sendmail
    rf"|(?:Giving up on|Connected to|remote host(?= [^\s]+ said)) (?P<c>{_HOST}|[0-9.]+)"  # qmail
    rf"|(?P<d>{_HOST}) \[[0-9A-Fa-f.:]+\] did not like our"  # dma
    rf"|rejected by the server for the recipient domain \S+ by (?P<e>{_HOST})"  # Gmail
    rf"|(?P<f>{_HOST}) (?:does not like (?:recipient|sender)|failed after I sent)",  # qmail
    re.IGNORECASE,
)
_REPLY = re.compile(
    r"(?:^|(?<=[\s:;>('\"\[]))([245]\d\d)(?:[ -]+\(?#?([245]\.\d{1,3}\.\d{1,3})\)?|[ -]+(?=\S)|$)",
    re.MULTILINE,
)
_HEADER = (
    r"(?:Received|Return-[Pp]ath|From|To|Subject|Date|Message-I[dD]|MIME-Version|Mime-Version|Reply-To"
    r"|Content-[Tt]ype|DKIM-Signature|Delivered-To|Authentication-Results|Sender|Cc|X-[\w-]+)"
    r":[^\n]*\n(?:[ \t]+\S[^\n]*\n)*"
)
_RETURNED = re.compile(
    r"(?im)^(?:[-=*_ ]{0,60}(?:"
    r"below (?:this|the next) line is a copy of (?:the|your) message"
    r"|(?:enclosed|this|below|included|attached) is a copy of (?:the|your)(?: original)? message"
    r"|(?:original|unsent|returned|undelivered) (?:message|mail)"
    r"(?: header(?:s)?| info)?(?: (?:follows?|is following|details))?\.?:?[ ]?[-=*_ ]*$"
    r"|(?:the )?(?:first \d+ lines|header|body|text) of (?:the|your) (?:original )?(?:message|mail)"
    r"|(?:the )?(?:original )?message headers? follows?|headers? of (?:the|your) message"
    r"|start of returned message|returned mail follows|original headers?:"
    r"|mensaje original adjunto|your (?:original )?message (?:reads|follows)"
    r"|(?:urspr(?:ü|ue)ngliche nachricht|message d'origine|messaggio originale|mensaje original"
    r"|mensagem original|oorspronkelijk bericht)"
    r"|oorspronkelijke berichtkoppen|urspr(?:ü|ue)ngliche nachrichtenkopf"
    r"|en-t(?:ê|e)tes de message d'origine|encabezados de mensajes? originale?s?"
    r"|cabe(?:ç|c)alhos? (?:da|de) mensage[mn]s? origina(?:l|is)|intestazioni originali"
    r"|(?:元|送信)の?メッセージ ?(?:の)? ?ヘッダー|元のメール|原始邮件头|原始郵件標頭))"
    rf"|(?:(?<=\n\n)|(?<=\n-\n)|(?<=--\n)|(?<==\n))(?:{_HEADER}){{3}}"
)
_FAILED = re.compile(
    r"(?i)(?:could(?: not|n't)|can ?not|was not|wasn't|not|unable to|failed to|never) (?:yet )?"
    r"(?:be )?"
    r"(?:successfully )?(?:deliver|send|sent|reach|accept)|undeliver|deliver\w*[^.\n]{0,80} fail"
    r"|fail\w*[^.\n]{0,40} deliver|(?:mail|message) (?:was |has been )?(?:rejected|refused"
    r"|returned|blocked)"
    r"|(?:user|recipient|address|mailbox|account|host|domain)[^.\n]{0,60} (?:unknown|not (?:found"
    r"|exist)|full"
    r"|invalid|does ?n[o']t exist|doesn't exist|disabled|unavailable|over quota)"
    r"|(?:unknown|invalid|no such|nonexistent|not a valid) (?:user|recipient|address|mailbox"
    r"|account)"
    r"|nicht (?:zugestellt|ausgeliefert|zustell)|unzustellbar|n'a (?:pas )?pu [^.\n]{0,40}"
    r"(?:remis|distribu|livr)"
    r"|no (?:se )?pudo (?:ser )?(?:entreg|envia)|n[ãa]o (?:p[ôo]de"
    r"|foi poss[íi]vel) [^.\n]{0,30}entreg"
    r"|non (?:[èe] stato|ha potuto) [^.\n]{0,40}(?:recapit|consegn)|niet (?:worden )?(?:bezorgd"
    r"|afgeleverd)"
    r"|не (?:может быть |было |удалось )?доставлен|配信(?:でき|され)|送信でき|届け|无法(?:投递|送达"
    r"|发送)"
    r"|無法(?:投遞|傳送|送達)|退信|전송(?:할 수|하지)|\b[45]\d\d[ -]#?[45]\.\d\.\d"
)
_DELAYED = re.compile(
    r"(?i)will (?:be retried|retry|keep trying|continue to (?:try|attempt)|try again)"
    r"|not yet been delivered"
    r"|this is (?:just )?a warning|has been delayed|delivery (?:is )?delayed|delayed mail"
    r"|still being retried"
    r"|attempts will continue|no action is required"
)
_SPACES = re.compile(r"\s+")
# A reply where it is quoted: at the start of a line, or behind a colon, a quote or a bracket.
_ANSWER = re.compile(
    r"(?:^[ \t<>#]*|[:;'\"(<#][ \t]*)([45][0-7]\d(?:[ \t]+#?|-|$)(?![ \t]*(?:hour|min|sec|day"
    r"|byte|char))[\s\S])",
    re.MULTILINE,
)
_HEAD = re.compile(r"^-+ ?Transcript of session follows ?-+ ?|^\.\.\. while talking to \S+ ")
_TAIL = re.compile(
    r"(?: \(in reply to (?:the )?[A-Za-z ]{3,30} command\)| Giving up on [\w.:-]+"
    r"| ?-+SMTP command [A-Z ]+"
    r"| \[(?:RCPT_TO|MAIL_FROM|DATA|CONNECT|HELO)\])+\s*$"
)
# IronPort puts a status and its words in front, and the reply in quotes after a hyphen.
_WRAPPED = re.compile(r"[245]\.\d{1,3}\.\d{1,3} ?- [A-Za-z][A-Za-z /-]{0,60} ([245]\d\d)-'(.*)'")
# Amazon SES puts the last reply in angle brackets behind its own, which says it expired.
_EXPIRED_WITH = re.compile(r"(\d{3} 4\.4\.7 Message expired[^<]{0,200})<([245]\d\d[^<>]+)>")
_PARAGRAPH = re.compile(r"\n(?:[ \t]*\n)+")
_BLANK = re.compile(r"\n[ \t]*\n")


def has_failed(text: str) -> bool:
    """Whether *text* says that a mail did not arrive."""
    return _FAILED.search(text) is not None


def is_delay(text: str) -> bool:
    """Whether *text* says that delivery will be tried again."""
    return _DELAYED.search(text) is not None


def split_returned(text: str) -> tuple[str, str]:
    """Part *text* into what was written about a mail, and that mail as it was returned."""
    found = _RETURNED.search(text)
    return (text[: found.start()], text[found.start() :]) if found else (text, "")


def joined(text: str) -> str:
    """Return *text* as one line, no longer than a reason may be."""
    return _SPACES.sub(" ", text[: REASON_LIMIT * 2]).strip()[:REASON_LIMIT]


def reason_in(text: str) -> str:
    """Return the reason that *text* gives: the SMTP reply in it where one is, else all of it."""
    found = _ANSWER.search(text)
    said = joined(text[found.start(1) :] if found else text)
    return _TAIL.sub("", _HEAD.sub("", said)).strip(" :-")


def unwrapped(diagnostic: str) -> str:
    """Return the remote host's reply where the reporting MTA put words of its own around it."""
    if found := _WRAPPED.match(diagnostic):
        return f"{found[1]} {found[2].strip()}"
    if found := _EXPIRED_WITH.match(diagnostic):
        return f"{found[2].strip()} ({found[1].strip()})"
    return diagnostic


def essence(text: str) -> str:
    """Return the reason in a whole notice: its lines that tell of failure, or hold a reply."""
    if _ANSWER.search(text):
        return reason_in(text)
    telling = [line for line in _PARAGRAPH.split(text) if has_failed(line)]
    return joined(" ".join(telling) or text)


def command_in(text: str) -> str:
    """Return the SMTP command that *text* says was answered: "RCPT TO", "DATA"; "" for none."""
    found = _COMMAND.search(text)
    if found is None:
        return ""
    word = next(filter(None, found.groups())).lower().strip()
    return _COMMANDS.get(word) or _COMMANDS.get(word.split()[0]) or word.split()[0].upper()


def host_in(text: str) -> str:
    """Return the remote host that *text* names as the one that answered; "" for none."""
    found = _REMOTE.search(text)
    return next(filter(None, found.groups())) if found else ""


def has_reply(text: str) -> bool:
    """Whether an SMTP reply, or an enhanced status, stands in *text*."""
    return _REPLY.search(text) is not None or EnhancedStatus.find(text) is not None


def reason_after(text: str, address: str) -> str:
    """Return what *text* says right after *address*, up to a blank line; "" where nothing."""
    folded, wanted = text.lower(), address.lower()
    at = folded.find(wanted) if wanted and len(folded) == len(text) else -1
    while at >= 0:
        rest = text[at + len(wanted) : at + len(wanted) + REASON_LIMIT]
        reason = _BLANK.split(rest.lstrip(" \t>)]}'\":;,.\n"), maxsplit=1)[0]
        if any(char.isalpha() for char in reason):
            return joined(reason)
        at = folded.find(wanted, at + len(wanted))
    return ""
