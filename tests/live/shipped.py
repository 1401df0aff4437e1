"""Postfix and Exim with what contrib/ ships in them, but for the port and the socket's path."""

import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

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


def postfix_by_pipe(folder: Path, mx: FakeMX, service: Service, *, quick: bool = False) -> Postfix:
    _command(folder / "mtabounce-pipe", "postfix/mtabounce-pipe", service)
    lifetime = "1h" if quick else "4s"  # a bounce that was put off has to live as long
    return _postfix("mtabounce_transport.pipe", folder, mx, service, lifetime)


def exim_by_pipe(folder: Path, mx: FakeMX, service: Service, *, quick: bool = False) -> Exim:
    """With *quick*, what was put off is tried again after a second."""
    _command(folder / "mtabounce-pipe", "postfix/mtabounce-pipe", service)
    return _exim(".pipe", folder, mx, service, quick=quick)


def exim_that_signs(folder: Path, mx: FakeMX, service: Service) -> Exim:
    """Give each recipient a return path that mtabounce signs."""
    routers = shipped("exim/router", service) + shipped("exim/router.return_path", service)
    sections = {
        "main": f"domainlist local_domains = mail.example.org\n{asking_postgres(service)}",
        "acl": shipped("exim/acl.return_path", service),
        "routers": routers,
        "transports": shipped("exim/transport", service),
        "retry": shipped("exim/retry", service),
    }
    domains = [*ANSWERS, "later.example"]
    return Exim(folder / "exim", domains=domains, mx_port=mx.port, sections=sections)


def asking_postgres(service: Service) -> str:
    """Return what Exim's main section needs to ask the database of *service*."""
    server = f"({socket_folder(service)}/.s.PGSQL.5432)/mtabounce/mtabounce_mta/"
    return f"hide pgsql_servers = {server}\nadd_environment = PGCONNECT_TIMEOUT=2\n"


def add_reader(service: Service) -> None:
    """Add the user that mail servers ask the database as."""
    with psycopg.connect(service.run("db", "url").strip()) as conn:
        conn.execute("CREATE ROLE mtabounce_mta LOGIN IN ROLE mtabounce_read")


def socket_folder(service: Service) -> Path:
    """Return the folder of the socket of PostgreSQL, once all users can reach it."""
    url = urlsplit(service.run("db", "url").strip())
    folder = Path(parse_qs(url.query)["host"][0])
    for place in (folder, *folder.parents):
        if place.stat().st_uid == folder.stat().st_uid and place != Path("/"):
            place.chmod(place.stat().st_mode | 0o111)
    return folder


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


def _exim(suffix: str, folder: Path, mx: FakeMX, service: Service, *, quick: bool = False) -> Exim:
    sections = {
        "main": shipped("exim/log.conf", service),
        "routers": shipped(f"exim/router{suffix.replace('.pipe', '.lmtp')}", service),
        "transports": shipped(f"exim/transport{suffix}", service),
        "retry": "* * F,1h,1s\n" if quick else shipped("exim/retry", service),
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
    command = str(service.folder.parent / "mtabounce-pipe")
    for place in ("/etc/postfix", "/etc/exim4"):
        text = text.replace(f"{place}/mtabounce-pipe", command)
    text = text.replace("/etc/mtabounce/mtabounce.toml", str(service.folder / "config.toml"))
    # As a user that the daemon's is not: it runs as root here, as which no server runs a command.
    text = text.replace("user=mtabounce", "user=nobody").replace(
        "user = mtabounce", f"user = {USER}"
    )
    python = f"/usr/bin/env PYTHONPATH={CONTRIB.parent} {_python()} -m mtabounce"
    return text.replace("/opt/mtabounce/.venv/bin/mtabounce", python)
