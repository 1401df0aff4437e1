"""Whole mails: notices of many systems and languages, and mails that only look like notices."""

import tomllib
from pathlib import Path

import pytest

from mtabounce.classify import load
from mtabounce.model import Outcome
from mtabounce.pipeline.judge import Judge

JUDGE = Judge(load())
MAILS = Path(__file__).parents[2] / "fixtures" / "mails"
COUNTS = {Outcome.BOUNCE, Outcome.COMPLAINT, Outcome.DELAYED}
AWAY = {
    "Arabic": "رد تلقائي: عروض",
    "Chinese": "自动答复: 新闻",
    "Dutch": "Automatisch antwoord: Aanbiedingen",
    "Greek": "Αυτόματη απάντηση: Προσφορές",
    "Hebrew": "תשובה אוטומטית: מבצעים",
    "Hungarian": "Automatikus válasz: Ajánlatok",
    "Japanese": "自動応答: お知らせ",
    "Korean": "자동 회신: 소식",
    "Notes": "Ann Lee is out of the office.",
    "Polish": "Automatyczna odpowiedź: Oferty",
    "Romanian": "Răspuns automat: Oferte",
    "Turkish": "Otomatik yanıt: Teklifler",
    "Ukrainian": "Автоматична відповідь: Пропозиції",
    "Vietnamese": "Trả lời tự động: Tin tức",
}


def of_file(name, key):
    table = tomllib.loads((MAILS / name).read_text(encoding="utf-8"))
    return [pytest.param(row, id=row["name"]) for row in table[key]]


@pytest.mark.parametrize("notice", of_file("notices.toml", "notice"))
def test_notice_names_its_recipient_and_its_reason(notice):
    kind = "html" if notice.get("html") else "plain"
    head = (
        f"Return-Path: <>\nFrom: {notice['from']}\nTo: news@example.net\n"
        f"Subject: {notice['subject']}\nContent-Type: text/{kind}; charset=utf-8\n\n"
    )

    judged = JUDGE.judge(f"{head}{notice['text']}".encode())

    assert judged.reading.outcome == notice["outcome"]
    assert [report.final_recipient for report in judged.reading.reports] == [notice["recipient"]]
    assert [verdict.reason for verdict in judged.verdicts] == [notice["reason"]]


@pytest.mark.parametrize("mail", of_file("ordinary.toml", "mail"))
def test_ordinary_mail_counts_against_nobody(mail):
    judged = JUDGE.judge(f"{mail['head']}\n{mail['text']}".encode())

    assert judged.reading.outcome not in COUNTS


@pytest.mark.parametrize("subject", AWAY.values(), ids=list(AWAY))
def test_answer_of_somebody_who_is_away_is_known_in(subject):
    head = f"From: Ann <ann@example.org>\nTo: news@example.net\nSubject: {subject}\n"

    judged = JUDGE.judge(f"{head}\nI am away.\n".encode())

    assert judged.reading.outcome is Outcome.AUTO_REPLY
