"""What to write into the configuration for a webhook, and what to do where it refuses."""

import json

from mtabounce.providers import Provider
from mtabounce.store.webhooks import Refusal
from mtabounce.web.sns import topic_line

_LINES = {
    "sns": ['topic_arns = ["arn:aws:sns:REGION:ACCOUNT:TOPIC"]  # the log names the right one'],
    "token": ['token_files = ["/etc/mtabounce/{name}.token"]  # at the end of the URL: ?{query}=…'],
    "ecdsa": ['secret_files = ["/etc/mtabounce/{name}.key"]  # the public key from the console'],
    "rsa": ['secret_files = ["/etc/mtabounce/{name}.key"]  # the public key'],
    "mandrill": [
        'secret_files = ["/etc/mtabounce/{name}.secret"]  # the key from the console',
        'url = "https://bounces.example.org/webhooks/service/{name}"  # exactly as it stands there',
    ],
}
_SIGNED = ['secret_files = ["/etc/mtabounce/{name}.secret"]  # the secret from the console']
_BASIC = ['username = "{name}"', 'password_file = "/etc/mtabounce/{name}.password"']
ADVICE = (  # words of a refusal, and what to do about it; the first that fit count
    ("no user name and password", "put them into the URL there: https://USER:PASSWORD@HOST/…"),
    ("wrong user name or password", "compare username and password_file with the URL there"),
    ("no token", "put ?token=… (Azure: ?code=…) at the end of the URL there"),
    ("wrong token", "compare token_files with the URL or the header there"),
    ("no signature", "switch signing on there; is it really the provider who posts?"),
    ("wrong signature", "copy the secret once more; a proxy must not change the body"),
    ("stale", "look at the clock of this host (timedatectl); a replay is refused, too"),
    ("no time in the signature", "a proxy may remove headers; is it really the provider?"),
    ("used before", "somebody posts other events with an old signature: that is an attack"),
    ("topic is not allowed", "if the topic is yours, add its line"),
    ("certificate of SNS cannot be had", "let this host reach sns.REGION.amazonaws.com by HTTPS"),
    ("certificate", "it was not Amazon who posted this"),
    ("could not be confirmed", "let this host reach sns.REGION.amazonaws.com by HTTPS"),
    ("no message of SNS", "switch raw message delivery off, or set username and password_file"),
    ("too large", "raise max_size, or let the provider post smaller batches"),
    ("too slowly", "the network, or a proxy in front of this host, is slow"),
    ("not packed", "keep the proxy from compressing what it passes on"),
    ("Unknown service", "write the section; then reload mtabounce (SIGHUP)"),
)


def section_for(name: str, provider: Provider) -> list[str]:
    """Return the lines of the configuration that switch the webhook *name* on."""
    auth = provider.table.auth
    kind = auth.get("kind")
    lines = _LINES.get(str(kind), _SIGNED if kind else _BASIC)
    query = auth.get("query", "token")
    return [f"[webhooks.{name}]", *(line.format(name=name, query=query) for line in lines)]


def mend_for(refusal: Refusal) -> str:
    """Return what to do about *refusal*; "" where nothing is known."""
    found = next((mend for words, mend in ADVICE if words in refusal.why), "")
    topic = _topic(refusal)
    return f"{found}: {topic_line(refusal.webhook, topic)}" if topic and found else found


def _topic(refusal: Refusal) -> str:
    """Return the topic that a message of SNS names, where that is why it was refused."""
    if "topic" not in refusal.why and "Unknown" not in refusal.why:
        return ""
    try:
        document = json.loads(refusal.body)
    except (ValueError, RecursionError):
        return ""
    topic = document.get("TopicArn") if isinstance(document, dict) else None
    return topic if isinstance(topic, str) else ""
