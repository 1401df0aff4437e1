"""A sample of each provider, signed as the provider would, is taken and understood."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mtabounce.classify import load
from mtabounce.config.values import parse_duration
from mtabounce.model import Outcome
from mtabounce.providers import discover, provider, read
from mtabounce.providers.request import unpack
from mtabounce.web.request import Posted, Refused
from mtabounce.web.signing import Proofs, sample, signed
from mtabounce.web.webhook import Webhook
from mtabounce.web.webhook_settings import WebhookSettings

CLASSIFIER = load()
PROVIDERS = [name for name in discover() if name != "api"]
KEYS = {"ecdsa": ec.generate_private_key(ec.SECP256R1()),
        "rsa": rsa.generate_private_key(65537, 2048)}  # fmt: skip
URL = "https://u:p@x.example/hook"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:t"


def public(key):
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()


def proofs_of(kind, **more):
    if kind in KEYS:
        return Proofs(key=KEYS[kind], **more)
    if kind == "sns":
        return Proofs(username="u", password="p", **more)  # raw delivery
    return Proofs(secret="c2VjcmV0" * 4, url=URL, **more)


def settings_of(kind, secret_file):
    if kind == "sns":
        return WebhookSettings(topic_arns=(TOPIC,), username="u", password_file=secret_file("p"))
    text = public(KEYS[kind]) if kind in KEYS else "c2VjcmV0" * 4
    return WebhookSettings(secret_files=(secret_file(text),), url=URL)


def webhook(name, settings):
    kept = []

    async def accept(raw):
        kept.append(raw)

    made = Webhook(name, settings, accept)
    made.kept = kept
    return made


def posted(made):
    return Posted(headers=made.headers, query=made.query, body=made.body)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_sample_is_taken_and_is_one_hard_bounce(name, secret_file):
    whose, now = provider(name), datetime.now(UTC)
    kind = whose.table.auth.get("kind")
    to = webhook(name, settings_of(kind, secret_file))
    made = signed(whose, sample(whose, "ada@example.net", "a1", now), proofs_of(kind), now)

    await to.take(posted(made))

    (raw,) = to.kept
    headers, body = unpack(raw.content)
    said = read(whose, body, headers)
    (report,) = said.reports
    assert (report.final_recipient, report.outcome) == ("ada@example.net", Outcome.BOUNCE)
    assert CLASSIFIER.classify(report).type == "hard"
    assert said.ignored == ()


@pytest.mark.parametrize("name", PROVIDERS)
async def test_sample_by_another_secret_is_refused(name, secret_file):
    whose, now = provider(name), datetime.now(UTC)
    kind = whose.table.auth.get("kind")
    to = webhook(name, settings_of(kind, secret_file))
    other = Proofs(secret="b3RoZXJz" * 4, topic=TOPIC if kind == "sns" else "", url=URL)
    made = signed(whose, sample(whose, "ada@example.net", "a1", now), other, now)

    with pytest.raises(Refused) as error:
        await to.take(posted(made))

    assert error.value.status == 401
    assert to.kept == []


@pytest.mark.parametrize("name", [n for n in PROVIDERS if n not in ("ses", "scaleway")])
async def test_new_and_old_secret_are_good_while_they_change(name, secret_file):
    whose, now = provider(name), datetime.now(UTC)
    kind = whose.table.auth.get("kind")
    texts = [public(KEYS[kind])] if kind in KEYS else ["c2VjcmV0" * 4]
    other = {"ecdsa": lambda: public(ec.generate_private_key(ec.SECP256R1())),
             "rsa": lambda: public(rsa.generate_private_key(65537, 2048))}  # fmt: skip
    texts.insert(0, other.get(kind, lambda: "bmV3bmV3" * 4)())
    files = tuple(map(secret_file, texts))
    to = webhook(name, WebhookSettings(secret_files=files, url=URL))

    made = signed(whose, sample(whose, "ada@example.net", "a1", now), proofs_of(kind), now)
    await to.take(posted(made))

    assert len(to.kept) == 1


async def test_both_passwords_are_good_while_they_change(secret_file):
    to = webhook(
        "postmark",
        WebhookSettings(
            username="u", password_file=secret_file("new"), old_password_file=secret_file("old")
        ),
    )
    whose, now = provider("postmark"), datetime.now(UTC)
    for password in ("new", "old"):
        proofs = Proofs(username="u", password=password)
        await to.take(posted(signed(whose, b"{}", proofs, now)))
    wrong = signed(whose, b"{}", Proofs(username="u", password="older"), now)

    with pytest.raises(Refused):
        await to.take(posted(wrong))
    assert len(to.kept) == 2


@pytest.mark.parametrize(
    "name", [n for n in PROVIDERS if "{ts}" in str(provider(n).table.auth.get("over"))]
)
async def test_valid_signature_of_long_ago_is_refused(name, secret_file):
    whose = provider(name)
    kept = parse_duration(whose.table.auth.get("tolerance", "5m"))
    now = datetime.now(UTC) - kept - timedelta(minutes=1)
    kind = whose.table.auth.get("kind")
    made = signed(whose, sample(whose, "a@example.net", "a1", now), proofs_of(kind), now)

    with pytest.raises(Refused, match="stale"):
        await webhook(name, settings_of(kind, secret_file)).take(posted(made))


def test_envelope_of_sns_is_whole():
    whose, now = provider("ses"), datetime.now(UTC)

    made = signed(whose, sample(whose, "a@example.net", "a1", now), Proofs(topic=TOPIC), now)

    message = json.loads(made.body)
    assert message["TopicArn"] == TOPIC
    assert message["SigningCertURL"].startswith("https://sns.eu-west-1.amazonaws.com/")
    assert read(whose, made.body, {}).reports[0].final_recipient == "a@example.net"
