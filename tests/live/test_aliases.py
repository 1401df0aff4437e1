"""Mails that a real Postfix forwards: log and DSN are one bounce for each who was mailed."""

import smtplib

from tests.live import shipped
from tests.live.failures import ANSWERS, RETURN_DOMAIN
from tests.live.fake_mx import FakeMX
from tests.live.postfix import Postfix
from tests.live.processes import wait_until
from tests.live.service import Service

HERE, AWAY = "mail.example.org", "unknown.example"
VIRTUAL = {  # before the queue …
    "amy": f"mid@{HERE}",
    "vic": f"hop@{AWAY}",
    "dan": f"shared@{AWAY}",
    "eve": f"shared@{AWAY}",
    "fay": f"one@{HERE}",
    "gus": f"two@{HERE}",
}
ALIASES = {"mid": f"last@{AWAY}", "one": f"both@{AWAY}", "two": f"both@{AWAY}"}  # … and behind it
UPSTREAM = "rfc822;carol@upstream.example"


def inline(table):
    return ", ".join(f"{name}={to}" for name, to in table.items())


def test_each_who_was_mailed_has_one_bounce_whatever_it_was_forwarded_to(folder):
    log = folder / "postfix" / "log" / "maillog"
    virtual = inline({f"{name}@{HERE}": to for name, to in VIRTUAL.items()})
    main = f"virtual_alias_maps = inline:{{{virtual}}}\nalias_maps = inline:{{{inline(ALIASES)}}}\n"
    with FakeMX(ANSWERS) as mx, Service(folder / "mtabounce", [log]) as service:
        routes = "".join(f"{domain} smtp:[127.0.0.1]:{mx.port}\n" for domain in ANSWERS)
        with Postfix(
            folder / "postfix",
            main=shipped.shipped("postfix/main.cf", service) + main,
            master=shipped.shipped("postfix/master.cf", service) + "local unix - n n - - local\n",
            transport=shipped.shipped("postfix/mtabounce_transport", service) + routes,
        ) as postfix:
            with smtplib.SMTP(*postfix.address) as client:
                for number, names in enumerate([["amy"], ["vic"], ["dan", "eve"], ["fay", "gus"]]):
                    client.ehlo()
                    client.mail(f"b{number}@{RETURN_DOMAIN}")
                    for name in names:
                        options = [f"ORCPT={UPSTREAM}"] if name == "vic" else []
                        client.rcpt(f"{name}@{HERE}", options)
                    client.data(f"Message-ID: <{number}@{HERE}>\r\n\r\nHello\r\n")
            wait_until(lambda: told(service) == 12, "all is told", details=service.log)
            rows = service.query(
                "SELECT recipient, observations, sources FROM mtabounce.bounces ORDER BY recipient"
            )

    both = [f"log:{log}", "receiver"]
    assert [tuple(row) for row in rows] == [
        (f"amy@{HERE}", 2, both),
        ("carol@upstream.example", 2, both),
        (f"dan@{HERE}", 2, both),
        (f"eve@{HERE}", 2, both),
        (f"fay@{HERE}", 2, both),
        (f"gus@{HERE}", 2, both),
    ]


def told(service):
    (row,) = service.query("SELECT sum(observations) AS count FROM mtabounce.bounces")
    return row.count
