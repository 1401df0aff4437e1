"""setup: shows the changes, makes exactly these, and takes them back to the byte."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from mtabounce.cli import mtabounce
from mtabounce.errors import UsageError
from tests.live.processes import UNPACKED, find

DEBIAN = Path(UNPACKED).parents[1]  # where Debian's packages of Exim were unpacked
CONTRIB = Path(__file__).parents[2] / "contrib"
MAIN = """\
compatibility_level = 3.6
relay_domains = a.example,
  b.example
myhostname = mail.example.org
"""


@pytest.fixture
def postfix(tmp_path):
    folder = tmp_path / "postfix"
    folder.mkdir()
    (folder / "main.cf").write_text(MAIN)
    (folder / "master.cf").write_text("smtp inet n - n - - smtpd\n")
    return folder


@pytest.fixture
def exim(tmp_path):
    for part in ("main", "acl", "router", "transport", "retry"):
        (tmp_path / "exim4" / "conf.d" / part).mkdir(parents=True)
    return tmp_path / "exim4"


@pytest.fixture
def run(tmp_path):
    config = tmp_path / "mtabounce.toml"
    config.write_text(
        '[receiver]\nlisten = ["127.0.0.1:2626"]\nlmtp_listen = ["/run/mtabounce/lmtp"]\n'
        'return_paths = ["@b.example.org"]\n[lookup]\nlisten = ["127.0.0.1:2527"]\n'
    )

    def run(server, folder, *words):
        command = ["--config", str(config), "setup", server, "--config-dir", str(folder)]
        return CliRunner().invoke(mtabounce, [*command, *words])

    return run


def contents(folder):
    return {path: path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("tail", ["", "myorigin = x", "transport_maps = hash:/x,\n  hash:/y"])
def test_file_without_a_last_line_end_is_as_it_was(run, postfix, tail):
    (postfix / "main.cf").write_text(MAIN + tail)
    before = contents(postfix)

    run("postfix", postfix, "--apply")
    run("postfix", postfix, "--apply")
    made = contents(postfix)[postfix / "main.cf"]
    assert made.startswith(MAIN[:40])
    assert not tail or f"{tail}\n" in made
    run("postfix", postfix, "--undo")

    assert contents(postfix) == before


@pytest.mark.parametrize("way", ["smtp", "lmtp", "pipe"])
@pytest.mark.parametrize("server", ["postfix", "exim"])
def test_changes_are_made_and_taken_back_to_the_byte(run, postfix, exim, server, way):
    folder = postfix if server == "postfix" else exim
    before = contents(folder)

    shown = run(server, folder, "--way", way)
    assert (shown.exit_code, contents(folder)) == (0, before), shown.output
    assert run(server, folder, "--way", way, "--apply").exit_code == 0
    once = contents(folder)
    assert run(server, folder, "--way", way, "--apply").exit_code == 0
    assert contents(folder) == once != before
    assert run(server, folder, "--way", way, "--undo").exit_code == 0

    assert contents(folder) == before


@pytest.mark.parametrize("server", ["postfix", "exim"])
def test_command_goes_with_its_way(run, postfix, exim, server):
    folder = postfix if server == "postfix" else exim
    before = contents(folder)
    script = folder / "mtabounce-pipe"

    assert run(server, folder, "--way", "pipe", "--apply").exit_code == 0
    assert script.exists()
    assert run(server, folder, "--way", "smtp", "--apply").exit_code == 0
    assert not script.exists()

    assert run(server, folder, "--way", "pipe", "--apply").exit_code == 0
    assert run(server, folder, "--undo").exit_code == 0
    assert contents(folder) == before


@pytest.mark.parametrize("server", ["postfix", "exim"])
def test_refusing_is_set_up_with_the_rest_and_taken_back(run, postfix, exim, server):
    folder = postfix if server == "postfix" else exim
    before = contents(folder)

    assert run(server, folder, "--suppressed", "--apply").exit_code == 0
    assert "2527" in "".join(contents(folder).values())
    assert run(server, folder, "--undo").exit_code == 0

    assert contents(folder) == before


def test_postfix_is_asked_for_in_the_first_list_that_is_free(run, postfix):
    with (postfix / "main.cf").open("a") as file:
        file.write("smtpd_recipient_restrictions = permit_mynetworks\n")

    run("postfix", postfix, "--suppressed", "--apply")

    shipped = (CONTRIB / "postfix" / "suppressed_policy").read_text().splitlines()
    written = (postfix / "main.cf").read_text()
    assert f"\nsmtpd_sender_restrictions =\n{shipped[-1]}\n" in written


def test_what_is_set_everywhere_is_left_to_the_operator(run, postfix):
    with (postfix / "main.cf").open("a") as file:
        for stage in ("client", "helo", "sender", "recipient"):
            file.write(f"smtpd_{stage}_restrictions = permit_mynetworks\n")

    result = run("postfix", postfix, "--suppressed", "--apply")

    assert isinstance(result.exception, UsageError)
    assert "put this first in smtpd_recipient_restrictions: check_policy" in str(result.exception)


def test_exim_gets_what_is_shipped(run, exim):
    run("exim", exim, "--suppressed", "--apply")

    shipped = (CONTRIB / "exim" / "acl.suppressed.lookup").read_text()
    asks = shipped[shipped.index("\nmtabounce_suppressed:") : shipped.index("\n# In the ACL")]
    assert asks.strip() in (exim / "conf.d" / "acl" / "05_mtabounce").read_text()


def test_exim_with_an_acl_of_its_own_is_left_to_the_operator(run, exim):
    (exim / "conf.d" / "main" / "000_localmacros").write_text("MAIN_ACL_CHECK_RCPT = mine\n")

    result = run("exim", exim, "--suppressed", "--apply")

    assert isinstance(result.exception, UsageError)
    assert "000_localmacros" in str(result.exception)


@pytest.mark.parametrize("way", ["smtp", "lmtp", "pipe"])
def test_exim_of_debian_reads_what_was_written(run, tmp_path, way):
    """Debian's own files, put together by its own program, and read by Exim."""
    program, folder, written = find("exim4"), tmp_path / "debian", tmp_path / "written"
    if not (DEBIAN / "usr/sbin/update-exim4.conf").exists():
        pytest.skip("exim4-config is not here: make test, as root on Debian, sees to it")
    shutil.copytree(DEBIAN / "etc/exim4", folder)
    kind = "dc_eximconfig_configtype='local'\ndc_use_split_config='true'\n"
    (folder / "update-exim4.conf.conf").write_text(kind)
    before = contents(folder)

    said = run("exim", folder, "--suppressed", "--way", way, "--user", "nobody", "--apply")
    assert said.exit_code == 0, said.output
    put_together = ["sh", DEBIAN / "usr/sbin/update-exim4.conf", "-d", folder, "-o", written]
    subprocess.run(put_together, check=True, capture_output=True)
    command = [program, "-C", written, "-bt", "x@b.example.org"]
    routed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "router = mtabounce, transport = mtabounce" in routed

    run("exim", folder, "--undo")
    assert contents(folder) == before


def test_exim_of_debian_logs_more_with_what_is_shipped(tmp_path):
    program, folder, written = find("exim4"), tmp_path / "debian", tmp_path / "written"
    if not (DEBIAN / "usr/sbin/update-exim4.conf").exists():
        pytest.skip("exim4-config is not here: make test, as root on Debian, sees to it")
    shutil.copytree(DEBIAN / "etc/exim4", folder)
    (folder / "update-exim4.conf.conf").write_text("dc_use_split_config='true'\n")
    shutil.copy(CONTRIB / "exim/log.debian", folder / "conf.d/main/50_mtabounce")
    put_together = ["sh", DEBIAN / "usr/sbin/update-exim4.conf", "-d", folder, "-o", written]
    subprocess.run(put_together, check=True, capture_output=True)

    def selectors(config):
        command = [program, "-C", config, "-bP", "log_selector"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return set(said.partition("=")[2].split())

    plain = tmp_path / "plain"
    shutil.copy(CONTRIB / "exim/log.conf", plain)
    debian = selectors(written)
    assert {"+return_path_on_delivery", "+millisec", "+pid"} <= selectors(plain) < debian
    assert "+smtp_protocol_error" in debian  # Debian's own


@pytest.mark.parametrize("way", ["smtp", "lmtp", "pipe"])
def test_postfix_reads_what_was_written(run, postfix, way):
    if shutil.which("postconf", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("postconf is not here: make test, as root on Debian, sees to it")
    run("postfix", postfix, "--way", way, "--apply")

    def postconf(*words):
        command = ["/usr/sbin/postconf", "-c", postfix, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert postconf("-h", "relay_domains").split() == ["a.example,", "b.example", "b.example.org"]
    assert postconf("-h", "transport_maps").strip() == f"texthash:{postfix}/mtabounce_transport"
    assert f"mtabounce{'-pipe' if way == 'pipe' else ''}" in postconf("-M")


def test_user_that_is_not_there_is_told_of(run, postfix):
    told = run("postfix", postfix, "--way", "pipe", "--user", "no-such-one", "--apply").output
    quiet = run("postfix", postfix, "--way", "pipe", "--user", "nobody", "--apply").output

    assert "There is no user no-such-one here" in told
    assert "There is no user" not in quiet


def test_changes_of_others_in_the_meantime_stay(run, postfix):
    run("postfix", postfix, "--apply")
    with (postfix / "main.cf").open("a") as file:
        file.write("mynetworks = 127.0.0.0/8\n")

    run("postfix", postfix, "--undo")

    assert (postfix / "main.cf").read_text() == f"{MAIN}mynetworks = 127.0.0.0/8\n"


def test_file_of_somebody_else_is_not_touched(run, postfix):
    (postfix / "mtabounce_transport").write_text("mine\n")
    before = contents(postfix)

    refused = run("postfix", postfix, "--apply")
    run("postfix", postfix, "--undo")

    assert isinstance(refused.exception, UsageError)
    assert contents(postfix) == before


@pytest.mark.parametrize(
    "words",
    [
        ["--apply", "--undo"],
        ["--domain", "x y"],
        ["--domain", "b.example\nsmtpd_x = 1"],
        ["--user", "a b"],
    ],
)
def test_what_cannot_be_meant_is_refused(run, postfix, words):
    before = contents(postfix)

    assert isinstance(run("postfix", postfix, *words).exception, UsageError)
    assert contents(postfix) == before


def test_exim_without_split_configuration_is_told(run, tmp_path):
    assert isinstance(run("exim", tmp_path).exception, UsageError)
