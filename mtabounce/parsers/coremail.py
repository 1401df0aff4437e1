"""Coremail (163, 126, yeah.net …) and QQ (China): notices in Chinese, mostly HTML."""

from mtabounce.parsers._dialect import ADDRESS, Dialect, plain_text

_REASON = (
    r"(?:退信原因|错误信息|错误原因|出错原因|退信內容|系統退信原因|详细信息|English Reason)[:：\s]*"
    r"(?P<reason>[^\n]+(?:\n[^\n]+){0,4})"
)

PARSER = plain_text(
    58,
    ("退信", "被退回", "无法送达", "無法送達", "无法投递", "无法发送", "收件人"),
    Dialect(
        holds=r"退信|被退回|无法(?:送达|投递|发送)|無法(?:送達|投遞)",
        recipient=rf"(?:收件人(?:邮件|郵件|邮箱)?(?:地址|位址)?|无法发送到|无法送达|退信地址)[^@\n]{{0,20}}?"
        rf"[:：（(<\s]*(?P<address>{ADDRESS})",
        reason=_REASON,
    ),
)
