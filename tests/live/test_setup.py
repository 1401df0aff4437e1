"""What ``mtabounce setup postfix`` makes works in a real Postfix, and is gone after --undo."""

import smtplib

from tests.live.failures import ANSWERS, mails, send
from tests.live.fake_mx import FakeMX
from tests.live.postfix import Postfix
from tests.live.processes import run, wait_until
from tests.live.rows import wait_for_inputs
from tests.live.service import Service

MAIN = "transport_maps = texthash:/etc/postfix/routes\n"


def test_setup_is_made_works_and_is_taken_back(folder):
    with FakeMX(ANSWERS) as mx, Service(folder / "mtabounce") as service:
        routes = "".join(f"{domain} smtp:[127.0.0.1]:{mx.port}\n" for domain in ANSWERS)
        files = {"routes": routes}
        with Postfix(folder / "postfix", main=MAIN, master="", transport="", files=files) as mta:
            etc = folder / "postfix" / "etc"
            (etc / "mtabounce_transport").unlink()
            before = {path.name: path.read_bytes() for path in etc.iterdir()}

            for number, way in enumerate(["smtp", "lmtp"], 1):
                command = ("setup", "postfix", "--config-dir", str(etc), "--way", way)
                service.run(*command, "--apply")
                run("postfix", "-c", etc, "check")
                run("postfix", "-c", etc, "reload")
                wait_until(lambda n=number: mta.log().count("reload") >= n, "Postfix has reloaded")
                send(mta.address, list(mails(1)))
                with smtplib.SMTP(*mta.address) as client:  # from the network, to the bounce domain
                    client.sendmail("", ["b@bounces.example.org"], "Subject: x\r\n\r\nx\r\n")
                wait_for_inputs(service, 2 * number, mta.log)

                service.run(*command, "--undo")
                assert {path.name: path.read_bytes() for path in etc.iterdir()} == before
