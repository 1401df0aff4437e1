"""Durations, sizes, addresses and secrets are read as people write them, or refused in words."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtabounce.config import ListenAddress, SecretFile, hide_passwords
from mtabounce.config.values import (
    parse_duration,
    parse_size,
    quoted,
    write_duration,
    write_size,
)


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_text("swordfish\n")
    return path


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("250ms", 0.25),
    ],
)
def test_duration_is_read_in_its_units(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", ["", "5", "m", "-5m", "5 m", "1.5h", "5M", "m5", 5, True, None, []]
)
def test_other_things_are_no_durations(value):
    with pytest.raises(ValueError, match="expected a duration such as"):
        parse_duration(value)


def test_duration_beyond_all_bounds_is_refused():
    with pytest.raises(ValueError, match="longer than can be counted"):
        parse_duration("999999999w")


@given(st.integers(0, 10**12).map(lambda n: timedelta(milliseconds=n)))
def test_duration_is_written_so_that_it_reads_the_same(span):
    assert parse_duration(write_duration(span)) == span


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        ("10MB", 10**7),
        ("10MiB", 10 * 2**20),
        ("64 KiB", 65536),
        ("7B", 7),
        ("512", 512),
        (512, 512),
    ],
)
def test_size_is_read_in_its_units(value, octets):
    assert parse_size(value) == octets


@pytest.mark.parametrize("value", ["", "10mb", "-1B", "1.5MB", "MB", -1, True, 1.5, None])
def test_other_things_are_no_sizes(value):
    with pytest.raises(ValueError, match="expected a size such as"):
        parse_size(value)


@given(st.integers(0, 10**14))
def test_size_is_written_so_that_it_reads_the_same(octets):
    assert parse_size(write_size(octets)) == octets


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:25", "127.0.0.1", 25),
        ("[::1]:25", "::1", 25),
        ("mx.example.org:0", "mx.example.org", 0),
    ],
)
def test_tcp_address_is_read_and_written(text, host, port):
    address = ListenAddress.parse(text)

    assert (address.host, address.port, address.path) == (host, port, None)
    assert str(address) == text


def test_path_of_a_unix_socket_is_an_address():
    address = ListenAddress.parse("/run/mtabounce/lmtp.sock")

    assert address.path == Path("/run/mtabounce/lmtp.sock")
    assert str(address) == "/run/mtabounce/lmtp.sock"


@pytest.mark.parametrize(
    "value",
    ["", "25", ":25", "::1:25", "localhost", "a b:25", "host:65536", "run/x.sock", "ä:1", 25, None],
)
def test_other_things_are_no_addresses(value):
    with pytest.raises(ValueError, match="expected an address such as"):
        ListenAddress.parse(value)


@pytest.mark.parametrize("path", ["/run/" + "x" * 103, "/run/\0x", "/" + "ä" * 54])
def test_path_that_no_socket_can_have_is_refused(path):
    with pytest.raises(ValueError, match="at most 107 octets"):
        ListenAddress.parse(path)


def test_secret_is_read_without_its_final_newline(secret):
    assert SecretFile.read(secret, {}).get_secret_value() == "swordfish"


def test_secret_is_in_no_text_about_it(secret):
    read = SecretFile.read(secret, {})

    assert "swordfish" not in f"{read} {read!r}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_secret_that_others_may_open_is_refused_with_the_command_that_mends_it(secret, mode):
    secret.chmod(mode)

    with pytest.raises(ValueError, match=rf"\(mode {mode:04o}\): .*run: chmod 600 {secret}"):
        SecretFile.read(secret, {})


def test_secret_of_systemd_may_have_any_mode(secret):
    secret.chmod(0o440)

    read = SecretFile.read(secret, {"CREDENTIALS_DIRECTORY": str(secret.parent)})

    assert read.get_secret_value() == "swordfish"


def test_link_in_the_credentials_directory_does_not_open_other_secrets(secret, tmp_path):
    secret.chmod(0o644)
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "link").symlink_to(secret)

    with pytest.raises(ValueError, match="open to other users"):
        SecretFile.read(folder / "link", {"CREDENTIALS_DIRECTORY": str(folder)})


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"\xff", "not UTF-8"),
        (b"x" * 70_000, "too long"),
    ],
)
def test_file_that_holds_no_secret_is_refused(secret, content, fault):
    secret.write_bytes(content)

    with pytest.raises(ValueError, match=fault):
        SecretFile.read(secret, {})


def test_missing_secret_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read the secret in .*: No such file"):
        SecretFile.read(tmp_path / "none", {})


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)

    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(ValueError, match=r"is not a file|Is a directory"):
            SecretFile.read(path, {})


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:pa/ss@w0rd@db/x",
        "host=db password=pa/ss@w0rd user=u",
        "host=db password='pa/ss@w0rd' user=u",
        "postgresql://db/x?user=u&password=pa/ss@w0rd&sslmode=require",
    ],
)
def test_password_in_a_connection_string_is_hidden(text):
    hidden = hide_passwords(text)

    assert "w0rd" not in hidden
    assert "***" in hidden


def test_text_of_messages_stays_on_its_line():
    assert quoted('a\n\x1b[2J"\u202e') == r'"a\u000A\u001B[2J\"\u202E"'
