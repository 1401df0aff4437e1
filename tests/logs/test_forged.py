"""
A storm of lines that strangers had a word in: none of their words is taken for a delivery.

Each carrier is a line that an MTA really logs, with a place for what a stranger says: a reply, a
HELO, a subject, a host name, an address. Each payload is what would be a failure, were it a line.
"""

from itertools import product

import pytest

from mtabounce.logs import State

from .test_postfix import journal

VICTIM = "victim@forged.example"
QUEUE_ID, EXIM_ID = "4A00112233", "1xVKdA-0005NO-24"
SECOND, LOCAL = "Nov 23 03:12:17", "2026-11-23 03:12:17"

_FAILED = (
    f"to=<{VICTIM}>, relay=mx.x[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1,"
    " status=bounced (user unknown)"
)
_EXIM_FAILED = f"** {VICTIM} R=dnslookup T=remote_smtp H=mx.x [192.0.2.1]: 550 5.1.1 User unknown"
PAYLOADS = [
    _FAILED,
    f"{QUEUE_ID}: {_FAILED}",
    f"postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"{SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"2026-11-23T03:12:17.123456+00:00 mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"<22>1 2026-11-23T03:12:17Z mail postfix/smtp 7 - - {QUEUE_ID}: {_FAILED}",
    f"ok)\r{SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"ok)\v{SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"ok)\u2028{SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"ok)\x85{SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"ok)\\n{SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"{SECOND} mail postfix/qmgr[7]: {QUEUE_ID}: from=<x@y>, status=expired, returned to sender",
    f">, orig_to=<{VICTIM}>, relay=none, delay=0, dsn=5.1.1, status=bounced (x)",
    f"x), {_FAILED}",
    f"(in reply to RCPT TO command)) status=bounced, {_FAILED}",
    _EXIM_FAILED,
    f"{EXIM_ID} {_EXIM_FAILED}",
    f"{LOCAL} {EXIM_ID} {_EXIM_FAILED}",
    f"{LOCAL}.123 +0000 [77] {EXIM_ID} {_EXIM_FAILED}",
    f"\r{LOCAL} {EXIM_ID} {_EXIM_FAILED}",
    f"{SECOND} mail exim[7]: {LOCAL} {EXIM_ID} {_EXIM_FAILED}",
    f"{LOCAL} {EXIM_ID} cancelled by root {VICTIM}",
    f'": {_EXIM_FAILED}',
    f"{VICTIM} R=dnslookup T=remote_smtp H=mx.x [192.0.2.1]: 550 5.1.1 User unknown",
    f"{VICTIM}>, relay=mx.x[192.0.2.1]:25, delay=1, dsn=5.1.1, status=bounced (user unknown",
    f"{VICTIM}>, relay=mx.x[192.0.2.1]:25, delay=1, dsn=5.1.1, status=bounced (host mx.x said: 550",
    f"x\\n{SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"x\0{SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f'{{"log":"{SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}"}}',
    f"2026-11-23T03:12:17.1Z stdout F {SECOND} mail postfix/smtp[7]: {QUEUE_ID}: {_FAILED}",
    f"status=bounced (550 5.1.1 {VICTIM}) {'x' * 70_000} {_FAILED}",
]

_HEAD = f"{SECOND} mail postfix"
_SENT = (
    f"{QUEUE_ID}: to=<ann@example.org>, relay=mx.example.org[192.0.2.9]:25, delay=1,"
    " delays=0/0/0/1, dsn=2.0.0, status=sent"
)
POSTFIX = [
    f"{_HEAD}/smtp[9]: {_SENT} (250 2.0.0 {{}})",
    f"{_HEAD}/lmtp[9]: {_SENT} (250 2.0.0 {{}})",
    f"{_HEAD}/local[9]: {_SENT} (delivered to command: {{}})",
    f"{_HEAD}/smtp[9]: {_SENT.replace('ann@example.org', '{}@example.org')} (250 2.0.0 ok)",
    f"{_HEAD}/smtp[9]: {_SENT.replace('relay', 'orig_to=<{}@example.org>, relay')} (250 2.0.0 ok)",
    f"{_HEAD}/smtp[9]: {QUEUE_ID}: host mx.example.org[192.0.2.9] said: 450 4.2.0 {{}}",
    f"{_HEAD}/smtp[9]: warning: host mx.example.org[192.0.2.9] greeted me with: {{}}",
    f"{_HEAD}/smtpd[9]: NOQUEUE: reject: RCPT from x[192.0.2.9]: 550 5.1.1 {{}}; proto=ESMTP",
    f"{_HEAD}/smtpd[9]: {QUEUE_ID}: client={{}}[192.0.2.9], sasl_username=ann",
    f"{_HEAD}/smtpd[9]: {QUEUE_ID}: client=x[192.0.2.9], sasl_username={{}}",
    f"{_HEAD}/smtpd[9]: improper command pipelining after HELO from x[192.0.2.9]: {{}}",
    f"{_HEAD}/smtpd[9]: warning: non-SMTP command from x[192.0.2.9]: {{}}",
    f"{_HEAD}/cleanup[9]: {QUEUE_ID}: message-id=<{{}}>",
    f"{_HEAD}/cleanup[9]: {QUEUE_ID}: warning: header Subject: {{}} from x[192.0.2.9]; from=<a@b>",
    f"{_HEAD}/cleanup[9]: {QUEUE_ID}: milter-reject: END-OF-MESSAGE from x[192.0.2.9]: 5.7.1 {{}}",
    f'{_HEAD}/qmgr[9]: {QUEUE_ID}: from=<"{{}}"@e.example>, size=1, nrcpt=1 (queue active)',
    f"{_HEAD}/postscreen[9]: PREGREET 9 after 0 from [192.0.2.9]:9: {{}}",
    f"{_HEAD}/bounce[9]: {QUEUE_ID}: sender non-delivery notification: {{}}",
    f"{SECOND} mail dovecot: lmtp({{}}): Error: x",
    f"{SECOND} mail logger[9]: {{}}",
    f"{SECOND} mail smtp-sink[9]: {{}}",
]
EXIM = [
    f'{LOCAL} {EXIM_ID} => {{0}}@x.example <"{{0}}"@x.example> R=dnslookup T=smtp H=mx [192.0.2.9]',
    f'{LOCAL} {EXIM_ID} => {{0}}@x.example <"{{0}}"@y.example> R=dnslookup T=smtp H=mx [192.0.2.9]',
    f'{LOCAL} {EXIM_ID} => ann@example.org R=dnslookup T=remote_smtp H=mx [192.0.2.9] C="250 {{}}"',
    f"{LOCAL} {EXIM_ID} <= a@e.example H=({{}}) [192.0.2.9] P=esmtp S=1",
    f'{LOCAL} {EXIM_ID} <= a@e.example H=x [192.0.2.9] P=esmtp S=1 T="{{}}" for ann@example.org',
    f"{LOCAL} {EXIM_ID} <= a@e.example H=x [192.0.2.9] P=esmtp S=1 id={{}}@e.example",
    f'{LOCAL} {EXIM_ID} <= "{{}}"@e.example H=x [192.0.2.9] P=esmtp S=1',
    f'{LOCAL} {EXIM_ID} <= a@e.example H=x [192.0.2.9] X=TLS1.3:x:256 DN="{{}}" P=esmtps S=1',
    f"{LOCAL} {EXIM_ID} H=x [192.0.2.9] rejected after DATA: {{}}",
    f"{LOCAL} H=({{}}) [192.0.2.9] F=<a@b> rejected RCPT <x@y>: 550 5.1.1 Unknown user",
    f'{LOCAL} SMTP protocol error in "{{}}" H=x [192.0.2.9]',
    f"{LOCAL} {EXIM_ID} H=mx.x [192.0.2.9]: SMTP error from remote mail server: 450 {{}}",
    f"{LOCAL} {EXIM_ID} Spool: {{}}",
]


@pytest.mark.parametrize("carriers", [POSTFIX, EXIM], ids=["postfix", "exim"])
@pytest.mark.parametrize("entry", [str.encode, None], ids=["file", "journal"])
def test_none_of_many_hostile_words_is_a_failure(read, carriers, entry):
    said = [carrier.format(one) for carrier, one in product(carriers, PAYLOADS)]
    hostile = [(entry or _in_journal)(line) for line in said]

    found = read(*hostile)

    assert [one for one in found if "forged" in one.final_recipient + one.original_recipient] == []
    assert {one.state for one in found} <= {State.SENT}
    assert len(hostile) >= 264


def test_there_are_as_many_as_were_ever_tried():
    assert 2 * len(PAYLOADS) * (len(POSTFIX) + len(EXIM)) >= 1440


def test_what_a_host_said_to_a_real_failure_stays_what_it_said(read):
    for payload in PAYLOADS:
        found = read(
            f"{_HEAD}/smtp[9]: {QUEUE_ID}: to=<ann@example.org>, relay=mx[192.0.2.9]:25, delay=1,"
            f" delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx[192.0.2.9] said: 550 {payload})"
        )
        said = {(one.final_recipient, one.queue_id) for one in found}
        # Where the recipient seems to end twice, as without quotes it can, none is believed.
        is_clear = ">, relay=" not in payload and ">, orig_to=<" not in payload
        assert said == ({("ann@example.org", QUEUE_ID)} if is_clear else set())


def _in_journal(line):
    if line.startswith(LOCAL):
        line = f"{SECOND} mail exim[9]: {line}"
    return journal(line.encode())
