"""Postfix and Exim with what contrib/ ships in them, but for the port and the socket's path."""

import sys
from pathlib import Path

from tests.live.exim import USER, Exim
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


def postfix_by_pipe(folder: Path, mx: FakeMX, service: Service) -> Postfix:
    _command(folder / "mtabounce-pipe", "postfix/mtabounce-pipe", service)
    return _postfix("mtabounce_transport.pipe", folder, mx, service, "4s")


def exim_by_pipe(folder: Path, mx: FakeMX, service: Service) -> Exim:
    return _exim(".pipe", folder, mx, service)


def _command(path: Path, name: str, service: Service) -> None:
    path.write_text(shipped(name, service))
    path.chmod(0o755)


def _postfix(transport: str, folder: Path, mx: FakeMX, service: Service, lifetime: str) -> Postfix:
    routes = "".join(f"{domain} smtp:[127.0.0.1]:{mx.port}\n" for domain in ANSWERS)
    return Postfix(
        folder / "postfix",
        main=shipped("postfix/main.cf", service),
        master=shipped("postfix/master.cf", service),
        transport=shipped(f"postfix/{transport}", service) + routes,
        lifetime=lifetime,
    )


def _exim(suffix: str, folder: Path, mx: FakeMX, service: Service) -> Exim:
    sections = {
        "main": shipped("exim/log.conf", service),
        "routers": shipped(f"exim/router{suffix.replace('.pipe', '.lmtp')}", service),
        "transports": shipped(f"exim/transport{suffix}", service),
        "retry": shipped("exim/retry", service),
    }
    return Exim(folder / "exim", domains=ANSWERS, mx_port=mx.port, sections=sections)


def _python() -> str:
    """Return a Python that any user can run, as a user's own may lie in a closed folder."""
    system = Path("/usr/bin/python3")
    return str(system) if system.exists() else sys.executable


def shipped(name: str, service: Service) -> str:
    text = (CONTRIB / name).read_text()
    text = text.replace(" 2525", f" {service.port}").replace("]:2525", f"]:{service.port}")
    text = text.replace("/run/mtabounce/lmtp", str(service.lmtp))
    text = text.replace(
        "/etc/postfix/mtabounce-pipe", str(service.folder.parent / "mtabounce-pipe")
    )
    text = text.replace("/etc/mtabounce/mtabounce.toml", str(service.folder / "config.toml"))
    # As a user that the daemon's is not: it runs as root here, as which no server runs a command.
    text = text.replace("user=mtabounce", "user=nobody").replace(
        "user = mtabounce", f"user = {USER}"
    )
    python = f"/usr/bin/env PYTHONPATH={CONTRIB.parent} {_python()} -m mtabounce"
    return text.replace("/opt/mtabounce/.venv/bin/mtabounce", python)
