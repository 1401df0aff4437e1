"""Postfix and Exim with what contrib/ ships in them, but for the port and the socket's path."""

from pathlib import Path

from tests.live.exim import Exim
from tests.live.failures import ANSWERS
from tests.live.fake_mx import FakeMX
from tests.live.postfix import Postfix
from tests.live.service import Service

CONTRIB = Path(__file__).parents[2] / "contrib"


def postfix_over_smtp(folder: Path, mx: FakeMX, service: Service, lifetime: str = "4s") -> Postfix:
    return _postfix("mtabounce_transport", folder, mx, service, lifetime)


def postfix_over_lmtp(folder: Path, mx: FakeMX, service: Service) -> Postfix:
    return _postfix("mtabounce_transport.lmtp", folder, mx, service, "4s")


def exim_over_smtp(folder: Path, mx: FakeMX, service: Service) -> Exim:
    return _exim("", folder, mx, service)


def exim_over_lmtp(folder: Path, mx: FakeMX, service: Service) -> Exim:
    return _exim(".lmtp", folder, mx, service)


def _postfix(transport: str, folder: Path, mx: FakeMX, service: Service, lifetime: str) -> Postfix:
    routes = "".join(f"{domain} smtp:[127.0.0.1]:{mx.port}\n" for domain in ANSWERS)
    return Postfix(
        folder / "postfix",
        main=_shipped("postfix/main.cf", service),
        master=_shipped("postfix/master.cf", service),
        transport=_shipped(f"postfix/{transport}", service) + routes,
        lifetime=lifetime,
    )


def _exim(suffix: str, folder: Path, mx: FakeMX, service: Service) -> Exim:
    sections = {
        "routers": _shipped(f"exim/router{suffix}", service),
        "transports": _shipped(f"exim/transport{suffix}", service),
        "retry": _shipped("exim/retry", service),
    }
    return Exim(folder / "exim", domains=ANSWERS, mx_port=mx.port, sections=sections)


def _shipped(name: str, service: Service) -> str:
    text = (CONTRIB / name).read_text()
    text = text.replace(" 2525", f" {service.port}").replace("]:2525", f"]:{service.port}")
    return text.replace("/run/mtabounce/lmtp", str(service.lmtp))
