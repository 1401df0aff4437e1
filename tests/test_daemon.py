"""The daemon as a process: what it says where it cannot start, and how it ends."""

import os
import socket
import subprocess
import sys

import pytest

SERVE = [sys.executable, "-m", "mtabounce", "serve"]


@pytest.fixture
def environment(database_url, tmp_path):
    return os.environ | {
        "MTABOUNCE_DATABASE__URL": database_url,
        "MTABOUNCE_STATE__DIRECTORY": str(tmp_path / "state"),
        "MTABOUNCE_RECEIVER__LISTEN": '["127.0.0.1:0"]',
        "MTABOUNCE_HTTP__LISTEN": "127.0.0.1:0",
        "MTABOUNCE_WORKER__PROCESSES": "1",
    }


@pytest.mark.parametrize(
    ("key", "setting", "says"),
    [
        ("HTTP__LISTEN", "{}", "[http] listen: {} is in use by another program"),
        ("RECEIVER__LISTEN", '["{}"]', "[receiver] listen: {} is in use by another program"),
        ("RECEIVER__LMTP_LISTEN", '["{}"]', "[receiver] lmtp_listen: {} is in use by another"),
    ],
)
def test_port_in_use_is_one_line(environment, key, setting, says):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        wrong = environment | {f"MTABOUNCE_{key}": setting.format(taken)}
        done = subprocess.run(SERVE, env=wrong, capture_output=True, text=True, check=False)

    assert done.returncode == os.EX_CONFIG
    assert done.stderr.startswith(f"mtabounce: {says.format(taken)}")
    assert done.stderr.count("\n") == 1
