"""Words that stand in notices of every origin, looked for in one pass each."""

import re
from collections.abc import Iterator

from ahocorasick_rs import AhoCorasick, Implementation


class Words:
    """Some words, in lower case, and how to see that a text holds one of them in any case."""

    def __init__(self, *words: str) -> None:
        self._automaton = AhoCorasick(words, implementation=Implementation.DFA)

    def occurs_in(self, text: str) -> bool:
        """Whether one of the words stands in *text*."""
        return bool(self._automaton.find_matches_as_indexes(text.lower()))

    def places_in(self, text: str) -> Iterator[int]:
        """Yield where the words stand in *text*, as far as lower case keeps its length."""
        folded = text.lower()
        if len(folded) == len(text):
            yield from (start for _, start, _ in self._automaton.find_matches_as_indexes(folded))


class Marked:
    """Patterns in order, each with a word, in lower case, without which it is not worth a try."""

    def __init__(self, flags: re.RegexFlag, *patterns: tuple[str, str]) -> None:
        self._patterns = [(word, re.compile(pattern, flags)) for word, pattern in patterns]
        self._automaton = AhoCorasick(
            [word for word, _ in patterns], implementation=Implementation.DFA
        )

    def in_text(self, folded: str) -> list[tuple[str, re.Pattern[str]]]:
        """Return those whose word stands in *folded*, which is in lower case, in their order."""
        hits = self._automaton.find_matches_as_indexes(folded, overlapping=True)
        return [self._patterns[number] for number in sorted({hit[0] for hit in hits})]


FAILED = Words(
    *("not be delivered", "n't be delivered", "not delivered", "n't delivered", "not deliver"),
    *("n't deliver", "unable to deliver", "failed to deliver", "undeliver", "not be sent"),
    *("n't be sent", "not send", "n't send", "unable to send", "not sent", "not be reached"),
    *(
        "not been delivered",
        "not have been delivered",
        "mail was stopped",
        "message was stopped",
        "delivery was stopped",
    ),
    *(
        "delivery of the email was stopped",
        "did not reach",
        "delivery failed",
        "delivery has failed",
        "delivery failure",
    ),
    *("failed delivery", "delivery error", "delivery problem", "delivery report unavailable"),
    *("been rejected", "was rejected", "been refused", "was refused", "was blocked"),
    *("error occurred while trying to deliver",),
    *("been blocked", "returned to sender", "returned mail", "been returned", "unknown user"),
    *("user unknown", "no such user", "unknown recipient", "recipient unknown", "has failed"),
    *("unknown address", "address unknown", "unknown mailbox", "no mailbox", "no such mailbox"),
    *("invalid recipient", "invalid address", "invalid mailbox", "not a valid", "not exist"),
    *("n't exist", "not found", "mailbox is full", "mailbox full", "over quota", "quota exceeded"),
    *("full mailbox", "exceeds", "exceeded", "is disabled", "been disabled", "unknown host"),
    *("host unknown", "nicht zugestellt", "nicht zustell", "nicht ausgeliefert", "unzustellbar"),
    *("pas pu être", "pas pu etre", "n'a pu être", "non remis", "non distribu", "pas été remis"),
    *("no se pudo", "no pudo ser", "no puede ser", "no se ha podido", "não pôde ser"),
    *("nao pode ser", "não foi possível", "não foi entregue", "non è stato possibile"),
    *("non recapita", "impossibile recapitare", "impossibile consegnare", "mancata consegna"),
    *("stato recapitato", "stato consegnato", "mancato recapito", "no ha sido entregado"),
    *("no entregado", "não entregue", "falha na entrega", "error de entrega", "zustellung an"),
    *(
        "fehlgeschlagen",
        "échec de la remise",
        "non riuscit",
        "falhou",
        "に失敗しました",
        "未能传递",
        "传递失败",
        "投递失败",
        "发送失败",
        "傳遞失敗",
        "傳送失敗",
        "投遞失敗",
    ),
    *("zustellung ist fehl", "zustellung fehl", "mislukt", "misslyckades", "epäonnistui"),
    *("nie powiodło się", "nezdařilo", "başarısız", "не удалась", "не удалось отправить"),
    *("niet worden bezorgd", "niet bezorgd", "niet afgeleverd", "kunde inte levereras"),
    *("kunne ikke leveres", "nie można dostarczyć", "nie została dostarczona", "nelze doručit"),
    *("nemohla být doručena", "nebylo možné doručit", "nebolo možné doručiť", "nedoručiteľn"),
    *("nedoručiteln", "nem kézbesíthető", "nem sikerült kézbesíteni", "kézbesítése sikertelen"),
    *(
        "nu a putut fi livrat",
        "nu a putut fi trimis",
        "ei voitu toimittaa",
        "gick inte att leverera",
    ),
    *("δεν ήταν δυνατή η παράδοση", "δεν παραδόθηκε", "не може да бъде доставен"),
    *("nije moguće isporučiti", "nije isporučen", "no s'ha pogut lliurar", "tidak dapat dikirim"),
    *("tidak terkirim", "không thể gửi", "không gửi được", "ไม่สามารถส่ง", "iletilemedi"),
    *("לא ניתן היה למסור", "تعذر تسليم", "لم يتم تسليم", "не вдалося доставити"),
    *("не может быть доставлено", "не доставлено", "не было доставлено", "не удалось доставить"),
    *("не можуть бути доставлені", "teslim edilemedi", "配信でき", "配信され", "送信でき"),
    *(
        "送信されません",
        "届けでき",
        "お届け",
        "无法投递",
        "无法送达",
        "无法发送",
        "退信",
        "無法投遞",
    ),
    *("無法傳送", "無法送達", "전송할 수 없", "전달되지", "전송되지", "배달할 수 없", "반송되"),
)
DELAYED = Words(
    *("will be retried", "will retry", "will keep trying", "will continue to try"),
    *("will continue to attempt", "will try again", "not yet been delivered", "been delayed"),
    *("this is a warning", "this is just a warning", "delivery is delayed", "delivery delayed"),
    *("delayed mail", "still being retried", "attempts will continue", "no action is required"),
)
FOOTERS = Words(
    *("-- \n", "scanned for", "scanned by", "been scanned", "been checked by", "virus found"),
    *("viruses found", "virus-free", "virenfrei", "auf viren", "confidential", "vertraulich"),
    *("confidentiel", "confidenzial", "disclaimer", "intended solely", "intended only for"),
)
_FOOTER = re.compile(
    r"\s*(?:-- \n|[-_=*>|# ]{0,80}\s*(?:this |the |diese |ce |cet |este |questo |dit )?"
    r"(?:information |e-?mail|message|mail|nachricht|courriel|correo|messaggio|bericht|disclaimer"
    r"|confidential|scanned|checked|no virus|virus-free|content of this|contents of this))",
    re.IGNORECASE,
)
SEPARATORS = Words(
    *("copy of the", "copy of your", "original message", "unsent message", "returned message"),
    *(
        "undelivered message",
        "original mail",
        "returned mail",
        "undelivered mail",
        "bounced e-mail",
    ),
    *("message header", "message text follows", "lines of the", "lines of your", "header of the"),
    *("body of the", "text of the", "headers of the", "original headers", "mensaje original"),
    *("your message reads", "your message follows", "ursprüngliche", "urspruengliche"),
    *("message d'origine", "messaggio originale", "mensagem original", "oorspronkelijk"),
    *("encabezados de", "cabeçalhos", "intestazioni originali", "ヘッダー", "元のメール"),
    *("原始邮件头", "原始郵件標頭"),
)
_SEPARATOR = re.compile(
    r"[-=*_| \t>]{0,80}(?:"
    r"below (?:this|the next) line is a copy of (?:the|your) message"
    r"|(?:enclosed|this|below|included|attached) is a copy of (?:the|your)(?: original)? message"
    r"|a copy of the original message below"
    r"|(?:bounced e-mail|(?:original|unsent|returned|undelivered) (?:message|mail))"
    r"(?: headers?| info)?(?: (?:follows?|is following|details|attached))?[.:]?[ ]?[-=*_|]*[ \t]*$"
    r"|(?:the )?(?:first \d+ lines|header|body|text) of (?:the|your) (?:original )?(?:message|mail)"
    r"|(?:the )?(?:original )?message (?:headers?|text) follows?|headers? of (?:the|your) message"
    r"|start of returned message|returned mail follows|original headers?:|mensaje original adjunto"
    r"|your (?:original )?message (?:reads|follows)|(?:messaggio|mensaje|mensagem) original"
    r"|(?:urspr(?:ü|ue)ngliche nachricht|message d'origine|oorspronkelijk bericht)"
    r"|oorspronkelijke berichtkoppen|en-t(?:ê|e)tes de message d'origine"
    r"|encabezados de mensajes? originale?s?|intestazioni originali"
    r"|cabe(?:ç|c)alhos? (?:da|de) mensage[mn]s? origina(?:l|is)"
    r"|(?:元|送信)の?メッセージ ?(?:の)? ?ヘッダー|元のメール|原始邮件头|原始郵件標頭)",
    re.IGNORECASE | re.MULTILINE,
)
_HEADERS = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{1,60}:[^\n]*\n(?:[ \t]+\S[^\n]*\n)*){3,}")
# One of these is in every returned header block; "To:" and "Subject:" stand in notices too.
_SURE_HEADER = re.compile(
    r"^(?:Received|Return-Path|Message-ID|MIME-Version|DKIM-Signature|Delivered-To|X-[\w-]+):",
    re.IGNORECASE | re.MULTILINE,
)
_STATUS_FIELD = re.compile(
    r"^(?:Final-Recipient|Reporting-MTA)[ \t]*:", re.IGNORECASE | re.MULTILINE
)


def is_footer(text: str, start: int) -> bool:
    """Whether the paragraph at *start* is what filters and companies write under every mail."""
    return _FOOTER.match(text, start) is not None


def is_separator(text: str, start: int) -> bool:
    """Whether the line at *start* says that the returned mail comes next."""
    return _SEPARATOR.match(text, start) is not None


def returned_headers_at(text: str, start: int) -> bool:
    """Whether the headers of a returned mail start at *start* of *text*, unannounced."""
    found = _HEADERS.match(text, start)
    if found is None or _STATUS_FIELD.search(found[0]):
        return False
    return _SURE_HEADER.search(found[0]) is not None
