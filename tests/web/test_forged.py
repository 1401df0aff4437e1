"""Forged messages of SNS: each is refused, and none makes us ask anybody anything."""

import asyncio
import base64
import json
import socket
import sys
from datetime import timedelta
from http.client import HTTPConnection

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mtabounce.web import sns
from mtabounce.web.request import Posted, Refused
from mtabounce.web.sns import to_sign
from mtabounce.web.webhook import Webhook
from mtabounce.web.webhook_settings import WebhookSettings
from tests.web.envelopes import CERTIFICATE, NOW, TOPIC, certificate, message

HOST, FILE = "sns.eu-west-1.amazonaws.com", "SimpleNotificationService-0a1.pem"
ELSEWHERE = [
    "https://sns.s3.amazonaws.com/" + FILE,
    "https://sns.s3.eu-west-1.amazonaws.com/" + FILE,
    "https://s3.amazonaws.com/" + FILE,
    "https://s3.eu-west-1.amazonaws.com/sns/" + FILE,
    "https://sns-eu-west-1.s3.amazonaws.com/" + FILE,
    "https://sns.execute-api.eu-west-1.amazonaws.com/" + FILE,
    "https://sns.eu-west-1.elb.amazonaws.com/" + FILE,
    "https://sns.us-east-1.amazonaws.com/" + FILE,
    "https://sns.eu-west-1.amazonaws.com.cn/" + FILE,
    "https://sns.eu-west-1.amazonaws.com.evil.example/" + FILE,
    "https://evil.example/" + FILE,
    "https://evil.example/?" + HOST + "/" + FILE,
    "https://evil.example/#https://" + HOST + "/" + FILE,
    "https://evilsns.eu-west-1.amazonaws.com/" + FILE,
    "https://snsxeu-west-1.amazonaws.com/" + FILE,
    f"https://{HOST}@evil.example/" + FILE,
    f"https://{HOST}:443@evil.example/" + FILE,
    f"https://evil.example\\@{HOST}/" + FILE,
    f"https://user:pass@{HOST}/" + FILE,
    f"https://{HOST}:8443/" + FILE,
    f"https://{HOST}:443/" + FILE,
    f"https://{HOST}./" + FILE,
    f"https://{HOST.upper()}/" + FILE,
    f"http://{HOST}/" + FILE,
    f"//{HOST}/" + FILE,
    f"ftp://{HOST}/" + FILE,
    f"https://{HOST}/" + FILE + "\n",
    f"https://{HOST}/" + FILE + "\r\nHost: evil.example",
    f" https://{HOST}/" + FILE,
    f"https://{HOST}/" + FILE + "?x=1",
    f"https://{HOST}/" + FILE + "#x",
    f"https://{HOST}/" + FILE + ";x",
    f"https://{HOST}/../" + FILE,
    f"https://{HOST}/a/" + FILE,
    f"https://{HOST}//" + FILE,
    f"https://{HOST}/%2e%2e/" + FILE,
    f"https://{HOST}/SimpleNotificationService-.pem",
    f"https://{HOST}/SimpleNotificationService-0a1.pem.evil",
    f"https://{HOST}/other.pem",
    f"https://{HOST}/?Action=Publish&x={FILE}",
    "https://127.0.0.1/" + FILE,
    "https://[::1]/" + FILE,
    "https://169.254.169.254/latest/meta-data/" + FILE,
    "https://localhost/" + FILE,
    "https://0x7f000001/" + FILE,
    "file:///etc/passwd",
    "data:application/x-pem-file;base64,AAAA",
    "https://sns.eu-west-1。amazonaws.com/" + FILE,
    "https://sns.eu-west-1.amaz\u043enaws.com/" + FILE,
    "",
]
TOPICS = [
    TOPIC.replace("123456789012", "666666666666"),
    TOPIC.replace("ses-bounces", "other"),
    TOPIC + "x",
    TOPIC + "\n",
    TOPIC.upper(),
    TOPIC.replace("eu-west-1", "eu-west-2"),
    TOPIC.replace("eu-west-1", "evil.example/x?"),
    TOPIC.replace("eu-west-1", "s3"),
    TOPIC.replace("arn:aws:", "arn:aws-cn:"),
    TOPIC.replace(":sns:", ":sqs:"),
    "arn:scw:sns:fr-par:project:t",
    "",
    "*",
]


class Outside:
    """Every look-up and connection of this process, while it is on. Audit hooks are for ever."""

    def __init__(self):
        self.on, self.seen = False, []
        sys.addaudithook(self._hear)

    def _hear(self, event, args):
        if self.on and event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect"):
            self.seen.append((event, args[-1] if event == "socket.connect" else args[0]))


OUTSIDE = Outside()


@pytest.fixture
def outside():
    OUTSIDE.seen.clear()
    OUTSIDE.on = True
    yield OUTSIDE.seen
    OUTSIDE.on = False


def webhook(fetch=None, **settings):
    kept = []

    async def accept(raw):
        kept.append(raw)

    made = Webhook("ses", WebhookSettings(topic_arns=(TOPIC,), **settings), accept, fetch)
    made.kept = kept
    return made


async def refused(told, fetch=None):
    to = webhook(fetch)
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    with pytest.raises(Refused) as error:
        await to.take(Posted(headers={}, query={}, body=body))
    assert to.kept == []
    return error.value.status


@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation"])
@pytest.mark.parametrize("url", ELSEWHERE)
async def test_certificate_from_elsewhere_is_refused_and_nobody_is_asked(url, kind, outside):
    assert await refused(message(kind, SigningCertURL=url)) == 401
    assert outside == []


@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation"])
@pytest.mark.parametrize("topic", TOPICS)
async def test_other_topic_is_refused_and_nobody_is_asked(topic, kind, outside):
    assert await refused(message(kind, TopicArn=topic)) == 401
    assert outside == []


async def test_canary_hears_look_ups_in_threads(outside):
    await asyncio.to_thread(socket.getaddrinfo, "localhost", 443)

    assert ("socket.getaddrinfo", "localhost") in outside


@pytest.mark.parametrize(
    "change",
    [
        {"Signature": ""},
        {"Signature": "AAAA"},
        {"Signature": "not base64!"},
        {"Signature": base64.b64encode(b"\0" * 256).decode()},
        {"Signature": ["a"]},
        {"Signature": None},
        {"SignatureVersion": ""},
        {"SignatureVersion": "0"},
        {"SignatureVersion": "3"},
        {"SignatureVersion": 2},
        {"SignatureVersion": "02"},
        {"Type": "notification"},
        {"Type": "SubscriptionConfirmation"},
        {"Type": None},
        {"Message": '{"notificationType": "Complaint"}'},
        {"Message": {"notificationType": "Bounce"}},
        {"MessageId": "other"},
        {"MessageId": "m-1\nSubject\nx"},
        {"Subject": "added"},
        {"Timestamp": (NOW - timedelta(minutes=1)).isoformat()},
        {"Timestamp": (NOW - timedelta(hours=2)).isoformat()},
        {"Timestamp": "9999-99-99"},
        {"Timestamp": 1},
    ],
    ids=lambda change: next(iter(change)),  # no times: a name stays the same from run to run
)
async def test_changed_message_is_refused(change):
    async def fetch(url):
        return certificate()

    assert await refused(message() | change, fetch) == 401


async def test_words_cannot_be_moved_from_field_to_field():
    async def fetch(url):
        return certificate()

    signed = message(Message="bounce\nMessageId\nm-1\nSubject\nhello", MessageId="m-2")
    moved = signed | {"Message": "bounce", "MessageId": "m-1\nSubject\nhello\nMessageId\nm-2"}
    assert to_sign(moved) == to_sign(signed)
    assert await refused(moved, fetch) == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'"x"', b"{", b"[" * 100_000, b'{"Type": "Notification"}', b"\xff"],
    ids=lambda body: repr(body[:20]),
)
async def test_what_is_no_message_is_refused(body, outside):
    assert await refused(body) in (400, 401)
    assert outside == []


async def test_address_to_confirm_at_is_never_the_one_in_the_message():
    asked = []

    async def fetch(url):
        asked.append(url)
        return certificate()

    for url in ("http://169.254.169.254/", "https://evil.example/", "file:///etc/passwd"):
        told = message("SubscriptionConfirmation", SubscribeURL=url)
        await webhook(fetch).take(Posted(headers={}, query={}, body=json.dumps(told).encode()))

    assert {one.partition("?")[0] for one in asked} == {CERTIFICATE, f"https://{HOST}/"}


async def test_certificate_of_another_key_proves_nothing():
    async def fetch(url):
        return certificate(rsa.generate_private_key(65537, 2048))

    assert await refused(message(), fetch) == 401


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"x" * 10_000_000, b"-----BEGIN CERTIFICATE-----\nAAAA\n"]
)
async def test_endpoint_that_gives_no_certificate_is_our_trouble(content):
    async def fetch(url):
        return content

    assert await refused(message(), fetch) == 503


async def test_endpoint_that_is_slow_holds_up_a_few_and_not_what_is_known():
    slow, asked = False, []

    async def fetch(url):
        asked.append(url)
        if slow:
            await asyncio.sleep(0.3)
            raise TimeoutError
        return certificate()

    to = webhook(fetch)
    known = Posted(headers={}, query={}, body=json.dumps(message()).encode())
    await to.take(known)
    slow = True
    others = [
        json.dumps(message(SigningCertURL=CERTIFICATE.replace("0a1", f"b{n}"))).encode()
        for n in range(50)
    ]
    waiting = [
        asyncio.create_task(to.take(Posted(headers={}, query={}, body=body))) for body in others
    ]
    await asyncio.sleep(0)
    await to.take(known)

    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert {one.status for one in answers} == {503}
    assert len(asked) <= 1 + 4
    assert len(to.kept) == 2


async def test_real_answers_are_read_no_further_than_64_kib(monkeypatch):
    """The fetch itself: what is too long or redirected is no answer."""

    async def serve(reader, writer):
        line = (await reader.readline()).decode()
        size, status = (200_000, "200 OK") if "long" in line else (3, "302 Found")
        if "good" in line:
            size, status = 5, "200 OK"
        head = f"HTTP/1.1 {status}\r\nLocation: https://evil.example/\r\nContent-Length: {size}\r\n"
        writer.write(f"{head}\r\n".encode() + b"x" * size)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setattr(sns, "HTTPSConnection", HTTPConnection)  # of TLS there is nothing to see
    for path in ("long", "redirected"):
        with pytest.raises(OSError, match="answered"):
            await sns.fetch_https(f"https://127.0.0.1:{port}/{path}")

    assert await sns.fetch_https(f"https://127.0.0.1:{port}/good") == b"xxxxx"
    server.close()
