"""To whom mails went, as logs of Postfix and Exim say: kept where that is asked for, else not."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
POSTFIX = f"""\
{AT.isoformat()} mail postfix/cleanup[11]: 4Xbq1K0W7Lz3hYd: message-id=<1@lists.test>
{AT.isoformat()} mail postfix/qmgr[12]: 4Xbq1K0W7Lz3hYd: from=<b@b.test>, size=900, nrcpt=2 (queue active)
{AT.isoformat()} mail postfix/smtp[13]: 4Xbq1K0W7Lz3hYd: to=<ann@x.test>, relay=mx.x.test[192.0.2.1]:25, delay=2, delays=0.1/0/1/0.9, dsn=4.2.0, status=deferred (host mx.x.test[192.0.2.1] said: 450 4.2.0 later (in reply to RCPT TO command))
{AT.isoformat()} mail postfix/smtp[13]: 4Xbq1K0W7Lz3hYd: to=<Bob@X.test>, relay=mx.x.test[192.0.2.1]:25, delay=2, delays=0.1/0/1/0.9, dsn=5.1.1, status=bounced (host mx.x.test[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command))
{AT.isoformat()} mail postfix/smtp[13]: 4Xbq1K0W7Lz3hYd: to=<ann@x.test>, relay=mx.x.test[192.0.2.1]:25, delay=2, delays=0.1/0/1/0.9, dsn=2.0.0, status=sent (250 2.0.0 Ok)
{AT.isoformat()} mail postfix/qmgr[12]: 4Xbq1K0W7Lz3hYd: removed
"""  # noqa: E501 (as Postfix writes them)
DAY = f"{AT:%Y-%m-%d %H:%M:%S}"
EXIM = f"""\
{DAY} 1oZ4xY-0001Ab-2C <= b@b.test H=app.test [192.0.2.9] P=esmtps S=900 id=2@lists.test
{DAY} 1oZ4xY-0001Ab-2C => carl@y.test R=dnslookup T=remote_smtp H=mx.y.test [192.0.2.2] C="250 OK"
{DAY} 1oZ4xY-0001Ab-2C -> dora@y.test R=dnslookup T=remote_smtp H=mx.y.test [192.0.2.2] C="250 OK"
{DAY} 1oZ4xY-0001Ab-2C Completed
"""


@pytest.fixture
def imported(tmp_path, database_url):
    """A function that imports a log where mails are kept for *days*; returns what is kept."""

    def run(text, days):
        log, config = tmp_path / "mail.log", tmp_path / "mtabounce.toml"
        log.write_text(text)
        config.write_text(f'[database]\nurl = "{database_url}"\n[sent_mail]\ndays = {days}\n')
        args = ["--config", str(config), "import", "logs", "--timezone", "UTC", str(log)]
        result = CliRunner().invoke(mtabounce, args)
        assert result.exit_code == 0, result.output
        with psycopg.connect(database_url) as conn:
            query = "SELECT message_id, recipient, sent_at FROM mtabounce.sent_mail ORDER BY 2"
            return conn.execute(query).fetchall()

    return run


def test_what_postfix_sent_is_kept_and_what_it_did_not_is_not(imported):
    assert imported(POSTFIX, days=7) == [("1@lists.test", "ann@x.test", AT)]


def test_what_exim_sent_is_kept(imported):
    assert imported(EXIM, days=7) == [
        ("2@lists.test", "carl@y.test", AT),
        ("2@lists.test", "dora@y.test", AT),
    ]


def test_nothing_is_kept_unless_it_is_asked_for(imported):
    assert imported(POSTFIX + EXIM, days=0) == []
