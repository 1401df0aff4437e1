"""Messages as SNS signs them, and a certificate of it, by a key of our own."""

import base64
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import CertificateBuilder, Name, NameAttribute, random_serial_number
from cryptography.x509.oid import NameOID

from mtabounce.web.sns import to_sign

TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-bounces"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1.pem"
RSA = rsa.generate_private_key(65537, 2048)
NOW = datetime.now(UTC)


def certificate(key=RSA, days=1):
    name = Name([NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(random_serial_number())
        .not_valid_before(NOW - timedelta(days=9))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def message(kind="Notification", version="2", key=RSA, **changes):
    told = {
        "Type": kind,
        "MessageId": "m-1",
        "TopicArn": TOPIC,
        "Message": '{"notificationType": "Bounce"}',
        "Timestamp": NOW.isoformat(),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
    }
    if kind != "Notification":
        told |= {
            "Token": "t&x=1",
            "SubscribeURL": "https://evil.example/?Action=ConfirmSubscription",
        }
    told |= changes
    digest = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303
    signature = key.sign(to_sign(told), padding.PKCS1v15(), digest)
    return told | {"Signature": base64.b64encode(signature).decode()}
