"""Webhooks: who is believed, what is kept, and what a stranger cannot do."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from mtabounce.errors import ConfigError
from mtabounce.providers import discover, provider
from mtabounce.web import webhook as one_webhook
from mtabounce.web.request import Posted, Refused
from mtabounce.web.signatures import checker
from mtabounce.web.webhook import Webhook
from mtabounce.web.webhook_providers import check
from mtabounce.web.webhook_settings import WebhookSettings
from tests.web.envelopes import CERTIFICATE, NOW, RSA, TOPIC, certificate, message

BODY = b'{"event": "bounce", "auth": "x"}'
EC = ec.generate_private_key(ec.SECP256R1())


def seconds():
    """Say what time it is: a suite may take longer than a signature lasts."""
    return str(int(datetime.now(UTC).timestamp()))


def public(key):
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def hexed(secret, content, digest="sha256"):
    return hmac.digest(secret.encode(), content, digest).hex()


def based(secret, content, digest="sha256"):
    return base64.b64encode(hmac.digest(secret, content, digest)).decode()


def standard(prefix, key):
    def sign(body, ts):
        signature = based(key, f"m.{ts}.".encode() + body)
        names = {"id": "m", "timestamp": ts, "signature": f"v1,AAAA v1,{signature}"}
        return body, {f"{prefix}{name}": value for name, value in names.items()}

    return sign


def mailgun(body, ts):
    del body
    told = {"timestamp": ts, "token": "t", "signature": hexed("secret", f"{ts}t".encode())}
    return json.dumps({"signature": told, "event-data": {}}).encode(), {}


def mandrill(body, ts):
    del body, ts
    signature = based(b"secret", b"https://u:p@x.org/hookmandrill_events[]", "sha1")
    return urlencode({"mandrill_events": "[]"}).encode(), {
        "x-mandrill-signature": signature,
        "content-type": "application/x-www-form-urlencoded",
    }


def unisender(body, ts):
    del body, ts
    digest = hashlib.md5(b'{"auth":"secret"}').hexdigest()  # noqa: S324
    return f'{{"auth":"{digest}"}}'.encode(), {}


def sendgrid(body, ts):
    signature = base64.b64encode(EC.sign(ts.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    name = "x-twilio-email-event-webhook-"
    return body, {f"{name}signature": signature, f"{name}timestamp": ts}


def postal(body, ts):
    del ts
    signature = RSA.sign(body, padding.PKCS1v15(), hashes.SHA256())
    return body, {"x-postal-signature-256": base64.b64encode(signature).decode()}


def header(name, template="{}"):
    return lambda body, ts: (body, {name: template.format(hexed("secret", body), ts=ts)})


def mailomat(body, ts):
    signature = hexed("secret", f"i.failure_perm.{ts}".encode())
    names = {"id": "i", "event": "failure_perm", "timestamp": ts, "signature": signature}
    return body, {f"x-mom-webhook-{name}": value for name, value in names.items()}


def lettermint(body, ts):
    signature = hexed("secret", f"{ts}.".encode() + body)
    return body, {"x-lettermint-signature": f"t={ts},v1={signature}"}


def elastic(body, ts):
    signature = hexed("secret", f"{ts}.".encode() + body)
    return body, {"x-elasticemail-signature": f"v1={signature}", "x-elasticemail-timestamp": ts}


def zeptomail(body, ts):
    signature = based(b"secret", ts.encode() + body)
    return body, {"producer-signature": f"ts={ts};s={signature};s-algorithm=HmacSHA256"}


LONG = b"a secret that is long enough"
KEY = base64.b64encode(LONG).decode()
OTHER = base64.b64encode(LONG[::-1]).decode()
SIGNERS = {
    "ahasend": (standard("webhook-", b"secret"), "secret"),
    "elasticemail": (elastic, "secret"),
    "forwardemail": (header("x-webhook-signature"), "secret"),
    "generic": (header("x-signature", "sha256={}"), "secret"),
    "lettermint": (lettermint, "secret"),
    "mailersend": (header("signature"), "secret"),
    "mailgun": (mailgun, "secret"),
    "mailomat": (mailomat, "secret"),
    "mailtrap": (header("mailtrap-signature"), "secret"),
    "mandrill": (mandrill, "secret"),
    "postal": (postal, public(RSA)),
    "resend": (standard("svix-", LONG), f"whsec_{KEY}"),
    "sendgrid": (sendgrid, f' "{public(EC).split("-----")[2]}" '),
    "sweego": (standard("webhook-", LONG), KEY),
    "unisender_go": (unisender, "secret"),
    "zeptomail": (zeptomail, "secret"),
}
NO_TIME = {
    "forwardemail",
    "generic",
    "mailersend",
    "mailtrap",
    "mandrill",
    "postal",
    "unisender_go",
}
BODY_NOT_SIGNED = {"mailgun", "mailomat"}


class Fetched(list):
    """Answers with the certificate, and remembers what was asked for."""

    def __init__(self, content=b"", error=None):
        super().__init__()
        self.content, self.error = content, error

    async def __call__(self, url):
        self.append(url)
        if self.error:
            raise self.error
        return self.content


def webhook(name, fetch=None, **settings):
    kept = []

    async def accept(raw):
        kept.append(raw)

    made = Webhook(name, WebhookSettings(**settings), accept, Fetched() if fetch is None else fetch)
    made.kept = kept
    return made


async def post(to, body=BODY, headers=(), query=()):
    await to.take(Posted(headers=dict(headers), query=dict(query), body=body, peer="192.0.2.1"))


async def refused(to, body=BODY, headers=(), query=()):
    with pytest.raises(Refused) as error:
        await post(to, body, headers, query)
    assert to.kept == []
    return error.value.status, str(error.value)


def signed_webhook(name, secret_file, *secrets):
    url = "https://u:p@x.org/hook"
    return webhook(name, secret_files=tuple(map(secret_file, secrets)), url=url)


def test_every_signature_of_the_tables_is_tested():
    kinds = {name: provider(name).table.auth.get("kind") for name in discover()}

    assert {name for name, kind in kinds.items() if kind not in (None, "sns", "token")} == set(
        SIGNERS
    )


@pytest.mark.parametrize("name", SIGNERS)
async def test_signed_request_is_kept_as_it_came(name, secret_file):
    sign, secret = SIGNERS[name]
    to = (
        signed_webhook(name, secret_file, OTHER if "BEGIN" not in secret else secret, secret)
        if name not in ("sendgrid", "postal")
        else signed_webhook(name, secret_file, secret)
    )
    body, headers = sign(BODY, seconds())

    await post(to, body, headers)

    (raw,) = to.kept
    assert raw.source == f"webhook:{name}"
    assert raw.content.endswith(b"\r\n" + body)
    assert raw.trusted


@pytest.mark.parametrize(
    "name", sorted(set(SIGNERS) - BODY_NOT_SIGNED - {"unisender_go", "mandrill"})
)
async def test_changed_body_is_refused(name, secret_file):
    sign, secret = SIGNERS[name]
    body, headers = sign(BODY, seconds())

    assert await refused(signed_webhook(name, secret_file, secret), body + b" ", headers) == (
        401, "wrong signature",
    )  # fmt: skip


@pytest.mark.parametrize("name", SIGNERS)
async def test_unsigned_request_is_refused(name, secret_file):
    status, _ = await refused(signed_webhook(name, secret_file, SIGNERS[name][1]))

    assert status == 401


@pytest.mark.parametrize("name", SIGNERS)
async def test_signature_by_another_secret_is_refused(name, secret_file):
    sign, secret = SIGNERS[name]
    other = {
        "postal": public(rsa.generate_private_key(65537, 2048)),
        "sendgrid": public(ec.generate_private_key(ec.SECP256R1())),
    }.get(name, OTHER)
    assert other != secret
    body, headers = sign(BODY, seconds())

    assert (await refused(signed_webhook(name, secret_file, other), body, headers))[0] == 401


@pytest.mark.parametrize("ts", ["", "nan", "1e9", "inf", "-5", "9" * 30, "١٢٣"])
@pytest.mark.parametrize("name", sorted(set(SIGNERS) - NO_TIME))
async def test_time_that_is_none_is_refused(name, ts, secret_file):
    sign, secret = SIGNERS[name]
    body, headers = sign(BODY, ts)

    assert (await refused(signed_webhook(name, secret_file, secret), body, headers))[0] == 401


@pytest.mark.parametrize("hours", [-1, 25])
@pytest.mark.parametrize("name", sorted(set(SIGNERS) - NO_TIME))
async def test_stale_signature_is_refused(name, hours, secret_file):
    sign, secret = SIGNERS[name]
    body, headers = sign(BODY, str(int((NOW - timedelta(hours=hours)).timestamp())))

    to = signed_webhook(name, secret_file, secret)
    assert await refused(to, body, headers) == (401, "the signature is stale")


async def test_token_of_mailgun_is_good_for_one_body_and_its_repetition(secret_file):
    to = signed_webhook("mailgun", secret_file, "secret")
    body, _ = mailgun(b"", seconds())
    await post(to, body)
    await post(to, body)
    to.kept.clear()

    assert (await refused(to, body.replace(b"{}", b'{"event": "failed"}')))[0] == 401


@pytest.mark.parametrize("form", ["{} ", "v1={}", "{},x", "sha256={}", "x {}"])
async def test_used_signature_written_otherwise_is_used_all_the_same(form, secret_file):
    to = signed_webhook("mailgun", secret_file, "secret")
    body, _ = mailgun(BODY, seconds())
    await post(to, body)
    forged = json.loads(body) | {"event-data": {"event": "failed"}}
    forged["signature"]["signature"] = form.format(forged["signature"]["signature"])
    with pytest.raises(Refused, match="used before"):
        await post(to, json.dumps(forged).encode())
    assert len(to.kept) == 1


async def test_so_many_used_signatures_are_remembered_and_no_more(secret_file, monkeypatch):
    monkeypatch.setattr(one_webhook, "_REMEMBERED", 3)
    memory = one_webhook.Memory()
    settings = WebhookSettings(secret_files=(secret_file("secret"),))
    to = Webhook("mailgun", settings, lambda raw: asyncio.sleep(0), memory=memory)
    for number in range(5):
        told = {"timestamp": seconds(), "token": f"t{number}"}
        told["signature"] = hexed("secret", f"{told['timestamp']}t{number}".encode())
        await post(to, json.dumps({"signature": told}).encode())
    assert len(memory.used) == 3


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"mandrill_events":"&mandrill_events=[1]&","mandrill_events":"[]"}', "json"),
        (b"mandrill_events=[]&mandrill_events=[1]", "x-www-form-urlencoded"),
        (b"mandrill_events=[1]&mandrill_events=[]", "x-www-form-urlencoded"),
        (b"mandrill_events=[]", "multipart/form-data; boundary=x"),
    ],
)
async def test_signature_of_mandrill_is_for_what_is_read(body, kind, secret_file):
    to = signed_webhook("mandrill", secret_file, "secret")
    _, headers = mandrill(BODY, "")  # of an empty batch, as it is posted to try the URL
    status, _ = await refused(to, body, headers | {"content-type": kind})
    assert status == 401


@pytest.mark.parametrize("value", ["\ud800", "\0", "é"])
@pytest.mark.parametrize("field", ["token", "signature", "timestamp"])
async def test_odd_characters_prove_nothing(field, value, secret_file):
    to = signed_webhook("mailgun", secret_file, "secret")
    told = {"timestamp": seconds(), "token": "t", "signature": "x"} | {field: value}
    assert (await refused(to, json.dumps({"signature": told}).encode()))[0] == 401


@pytest.mark.parametrize("given", ["u:p", "u:p%40ss", "u:pöss"])
async def test_basic_authentication_takes_the_right_password_only(given, secret_file):
    password = "pöss" if "ö" in given else "p@ss" if "%" in given else "p"
    to = webhook("postmark", username="u", password_file=secret_file(password))
    wrong = base64.b64encode(b"u:wrong").decode()

    for header in ("", "Basic", "Basic ###", f"Basic {wrong}", "Bearer p", "Basic \xff"):
        assert (await refused(to, headers={"authorization": header}))[0] == 401
    packed = base64.b64encode(given.encode()).decode()
    await post(to, headers={"authorization": f"Basic {packed}"})

    assert len(to.kept) == 1


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-messagesystems-webhook-token": "secret"}, {}),
        ({"authorization": "Bearer secret"}, {}),
        ({}, {"token": "secret"}),
    ],
)
async def test_token_is_taken_where_the_provider_can_put_it(headers, query, secret_file):
    to = webhook("sparkpost", token_files=(secret_file("secret"),))

    assert (await refused(to))[0] == 401
    assert (await refused(to, query={"token": "secre"}))[0] == 401
    await post(to, headers=headers, query=query)

    assert len(to.kept) == 1


async def test_without_a_secret_a_webhook_is_off():
    assert await refused(webhook("postmark")) == (400, "Unknown service.")


async def test_open_webhook_must_be_written_out_and_proves_nothing():
    to = webhook("postmark", auth="none")

    await post(to)

    assert not to.kept[0].trusted


async def test_handshake_of_azure_needs_the_token_too(secret_file):
    body = json.dumps([{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
                        "data": {"validationCode": "c-1"}}]).encode()  # fmt: skip
    to = webhook("azure", token_files=(secret_file("secret"),))

    assert (await refused(to, body))[0] == 401
    posted = Posted(headers={}, query={"code": "secret"}, body=body)

    assert await to.take(posted) == {"validationResponse": "c-1"}
    assert to.kept == []


def ses(fetch=None, **settings):
    fetch = Fetched(certificate()) if fetch is None else fetch
    return webhook("ses", fetch, **({"topic_arns": (TOPIC,)} | settings)), fetch


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("more", [{}, {"Subject": "Amazon SES"}])
async def test_message_of_sns_is_taken(version, more):
    to, fetch = ses()

    await post(to, json.dumps(message(version=version, **more)).encode())
    await post(to, json.dumps(message(version=version, **more)).encode())

    assert len(to.kept) == 2
    assert fetch == [CERTIFICATE]


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.s3.amazonaws.com/SimpleNotificationService-0a1.pem",
        "https://s3.amazonaws.com/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1.pem",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a1.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0a1.pem",
        "https://u@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0a1.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0a1.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1.pem?x",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1.pem#x",
        "https://sns.eu-west-1.amazonaws.com/a/../SimpleNotificationService-0a1.pem",
        "https://127.0.0.1/SimpleNotificationService-0a1.pem",
        "file:///etc/passwd",
        "",
    ],
)
async def test_certificate_from_elsewhere_is_refused_and_never_fetched(url):
    to, fetch = ses()

    body = json.dumps(message(SigningCertURL=url)).encode()

    assert (await refused(to, body))[0] == 401
    assert fetch == []


@pytest.mark.parametrize(
    "changes",
    [
        {"Message": "other"},
        {"MessageId": "m-2"},
        {"Subject": "added"},
        {"Signature": ""},
        {"Signature": "###"},
        {"SignatureVersion": "3"},
        {"SignatureVersion": "1"},
        {"Type": "Other"},
        {"MessageId": "m-1\nSubject"},
        {"TopicArn": 7},
        {"Timestamp": "x"},
    ],
)
async def test_changed_message_of_sns_is_refused(changes):
    to, _ = ses()

    assert (await refused(to, json.dumps(message() | changes).encode()))[0] == 401


async def test_message_by_another_key_is_refused():
    to, _ = ses()
    other = rsa.generate_private_key(65537, 2048)

    assert (await refused(to, json.dumps(message(key=other)).encode()))[0] == 401


@pytest.mark.parametrize("hours", [-1, 2])
async def test_stale_message_of_sns_is_refused(hours):
    to, fetch = ses()
    body = json.dumps(message(Timestamp=(NOW - timedelta(hours=hours)).isoformat())).encode()

    assert await refused(to, body) == (401, "the message is stale")
    assert fetch == []


async def test_foreign_topic_is_refused_and_the_line_to_allow_it_is_logged(caplog):
    to, fetch = ses()
    foreign = TOPIC.replace("123456789012", "666666666666")

    assert (await refused(to, json.dumps(message(TopicArn=foreign)).encode()))[0] == 401
    assert f'[webhooks.ses] topic_arns = ["{foreign}"]' in caplog.text
    assert fetch == []


async def test_subscription_is_confirmed_at_an_address_of_our_own():
    to, fetch = ses()

    await post(to, json.dumps(message("SubscriptionConfirmation")).encode())

    query = urlencode({"Action": "ConfirmSubscription", "TopicArn": TOPIC, "Token": "t&x=1"})
    assert fetch == [CERTIFICATE, f"https://sns.eu-west-1.amazonaws.com/?{query}"]


async def test_end_of_a_subscription_is_only_logged(caplog):
    to, fetch = ses()

    await post(to, json.dumps(message("UnsubscribeConfirmation")).encode())

    assert fetch == [CERTIFICATE]
    assert "was unsubscribed" in caplog.text


async def test_certificate_that_cannot_be_had_is_our_own_trouble():
    to, _ = ses(Fetched(error=OSError("no route")))

    assert (await refused(to, json.dumps(message()).encode()))[0] == 503


async def test_expired_certificate_is_refused_so_that_sns_comes_again():
    to, _ = ses(Fetched(certificate(days=-1)))

    assert (await refused(to, json.dumps(message()).encode()))[0] == 503


async def test_raw_delivery_needs_another_proof(secret_file):
    raw = b'{"notificationType": "Bounce"}'
    to, _ = ses()
    assert (await refused(to, raw, {"x-amz-sns-rawdelivery": "true"}))[0] == 401
    to, _ = ses(username="u", password_file=secret_file("p"))

    await post(to, raw, {"authorization": "Basic " + base64.b64encode(b"u:p").decode()})

    assert len(to.kept) == 1


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_%%%", "short"])
def test_secret_that_is_not_whole_is_refused(secret, secret_file):
    with pytest.raises(ConfigError, match=r"\[webhooks.resend\] the secret is not whole"):
        check({"resend": WebhookSettings(secret_files=(secret_file(secret),))})


SIGNED = {"kind": "hmac", "header": "X", "over": "{body}"}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"auth": {**SIGNED, "over": "{bdy}"}}, "over has no {bdy}; it may have {body}, {ts}"),
        ({"auth": {**SIGNED, "over": "{ts}", "timestamp": "T"}}, "over leaves out {body}"),
        ({"auth": {**SIGNED, "over": "{ts}.{body}"}}, "over needs 'timestamp'"),
        ({"auth": {**SIGNED, "digest": "shake_128"}}, "there is no digest 'shake_128'"),
        ({"auth": {**SIGNED, "digest": "md5"}}, "there is no digest 'md5'"),
        ({"auth": {**SIGNED, "encoding": "base65"}}, "there is no encoding 'base65'"),
        ({"auth": {**SIGNED, "tolerance": "xyz"}}, "auth: tolerance"),
        ({"auth": {**SIGNED, "header": 5}}, "header must be a text, not 5"),
        ({"auth": {**SIGNED, "once": "yes"}}, "once must be true or false"),
        ({"auth": {"kind": "hmac", "over": "{body}", "signature": "a.[b"}}, "auth: signature"),
        ({"auth": {"kind": "hmax"}}, "there is no kind 'hmax'"),
        ({"auth": {"kind": "hmac"}}, "needs 'over'"),
        ({"auth": "hmac"}, "auth must be a table, not 'hmac'"),
        ({"events": [["hard*", "hardd"]]}, "'hard*' cannot be 'hardd'; did you mean 'hard'?"),
        ({"events": [["hard*"]]}, "events must be a list of pairs"),
        ({"events": "hard"}, "events must be a list of pairs"),
        ({"key": 5}, "key must be a list of texts, not 5"),
        ({"meta": [1]}, "meta must be a list of texts"),
        ({"single": "no"}, "single must be true or false"),
        ({"recipient": 5}, "recipient must be a text, not 5"),
        ({"reply_in": "(a"}, "reply_in: missing ): (?s)(a"),
        ({"reply_in": "a"}, "reply_in must have one group, in ( )"),
    ],
)
def test_wrong_table_of_the_user_is_told_in_a_line(table, said, secret_file):
    one = WebhookSettings(secret_files=(secret_file("secret"),), table=table)
    with pytest.raises(ConfigError) as error:
        check({"house": one})
    told = str(error.value)
    assert told.startswith("[webhooks.house]")
    assert said in told
    assert "\n" not in told


def test_kind_that_there_is_not_is_no_token():
    with pytest.raises(ConfigError, match="there is no kind 'hmax'; there are ecdsa, hmac"):
        checker({"kind": "hmax"}, ["a secret"])


def test_settings_that_can_never_work_are_refused(secret_file):
    secret = secret_file("x")
    for name, one in [
        ("nobody", WebhookSettings()),
        ("mandrill", WebhookSettings(secret_files=(secret,))),
        ("brevo", WebhookSettings(username="u")),
    ]:
        with pytest.raises(ConfigError):
            check({name: one})
