"""Rows as answers show them, for the description of the API."""

_AT = "2026-11-23T10:00:00Z"
BOUNCE = {
    "id": 17,
    "recipient": "ann@example.net",
    "type": "hard",
    "reason": "user_unknown",
    "fault": "recipient",
    "rule": "postfix-user-unknown",
    "status": "5.1.1",
    "reply_code": 550,
    "diagnostic_code": "550 5.1.1 <ann@example.net>: User unknown",
    "remote_mta": "mx.example.net",
    "original_message_id": "20261123100000.1@example.org",
    "queue_id": "4Zk1aB2c3D",
    "campaign": "autumn",
    "trust": "proven",
    "sources": ["log", "receiver"],
    "observations": 2,
    "meta": {},
    "first_seen_at": _AT,
    "last_seen_at": _AT,
    "created_at": _AT,
}
_SAID = {
    name: BOUNCE[name]
    for name in (
        "type", "reason", "fault", "rule", "status", "reply_code", "diagnostic_code", "remote_mta",
        "original_message_id", "queue_id", "campaign", "trust",
    )
}  # fmt: skip
EVIDENCE = _SAID | {
    "occurred_at": _AT,
    "source": "receiver",
    "parser": "dsn",
    "outcome": "bounce",
    "matched": "User unknown",
    "final_recipient": "ann@example.net",
    "original_recipient": "",
    "action": "failed",
    "reporting_mta": "mail.example.org",
    "facts": {},
    "input_id": 4,
}
INPUT = {
    "id": 4,
    "source": "receiver",
    "reverse_path": "",
    "forward_paths": ["bounces@bounces.example.org"],
    "peer": "127.0.0.1",
    "trusted": True,
    "received_at": _AT,
    "state": "done",
    "outcome": "bounce",
    "parser": "dsn",
    "error": "",
    "processed_at": _AT,
    "size": 3120,
    "kept": "full",
}
SUPPRESSION = {
    "recipient": "ann@example.net",
    "type": "hard",
    "reason": "user_unknown",
    "cause": "hard",
    "scope": "all",
    "action": "blocklist",
    "since": _AT,
    "until": None,
    "bounce_id": 17,
    "why": "hard: 1 of 1 messages, the last for user_unknown: for good",
    "settings": "hard: 1 message → blocklist; likely or better",
}
DECISION = {
    "id": 9,
    "decided_at": _AT,
    "actor": "policy",
    "action": "suppress",
    "why": "hard: 1 of 1 messages, the last for user_unknown: for good",
    "settings": "hard: 1 message → blocklist; likely or better",
    "scope": "all",
    "type": "hard",
    "reason": "user_unknown",
    "bounces": [17],
    "until": None,
}
EPISODE = {
    name: (EVIDENCE | {"bounce_id": 17})[name]
    for name in (
        "occurred_at", "source", "trust", "outcome", "type", "reason", "rule", "status",
        "diagnostic_code", "bounce_id", "input_id",
    )
}  # fmt: skip
RECIPIENT = {
    "id": 3,
    "recipient": "ann@example.net",
    "domain": "example.net",
    "hard": 1,
    "soft": 0,
    "complaints": 0,
    "last_bounce_at": _AT,
    "created_at": _AT,
}
