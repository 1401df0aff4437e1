"""The loader, on settings classes of this test: what it reads, and how it refuses the rest."""

import os
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr, model_validator

from mtabounce.config import Duration, ListenAddress, SecretFile, Section, Size, load
from mtabounce.config.describe import commented
from mtabounce.config.lines import lines_of
from mtabounce.config.shape import keys, values
from mtabounce.errors import ConfigError
from mtabounce.places import find


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Key(Section):
    """One key of several."""

    id: str
    secret_file: SecretFile


class Door(Section):
    """A door."""

    listen: tuple[ListenAddress, ...] = Field(
        default=(ListenAddress.parse("127.0.0.1:25"),), description="Where to listen."
    )
    colour: Colour = Field(default=Colour.RED, description="What it looks like.")
    mode: Literal["in", "out"] | None = Field(default=None, description="The way.")
    tls: bool = Field(default=False, description="Whether it is locked.")
    limit: Size = Field(default=10 * 2**20, description="The most it takes.")
    wait: Duration = Field(default=timedelta(minutes=5), description="How long it waits.")
    count: int = Field(default=1, ge=1, le=9, description="How many.")
    password: SecretStr | None = Field(default=None, description="The word.")
    password_file: SecretFile | None = Field(default=None, description="Where the word is.")
    keys: tuple[Key, ...] = Field(default=(), description="Keys.")

    @model_validator(mode="after")
    def _one_password(self) -> "Door":
        if self.password and self.password_file:
            raise ValueError("takes either password or password_file, not both")
        return self


class Log(Section):
    """A log."""

    path: Path = Field(description="The file.")


class House(Section):
    """The whole."""

    door: Door = Field(default_factory=Door)
    log: tuple[Log, ...] = ()
    window: dict[str, Door] = Field(default_factory=dict)


@pytest.fixture
def read(tmp_path):
    def read(text="", environ=None):
        path = tmp_path / "house.toml"
        path.write_text(text)
        return load(House, path, environ or {})

    return read


@pytest.fixture
def refusal(tmp_path):
    def refusal(text="", environ=None):
        path = tmp_path / "house.toml"
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            load(House, path, environ or {})
        return str(caught.value).replace(str(tmp_path), "DIR").splitlines()

    return refusal


def test_no_file_is_a_working_set_up():
    loaded = load(House, None, {})

    assert loaded.settings == House()
    assert loaded.path is None


def test_values_are_read_as_their_kind(read):
    door = read(
        '[door]\nlisten=["[::1]:25"]\ncolour="green"\nlimit="1MB"\nwait="90s"'
    ).settings.door

    assert door.listen == (ListenAddress(host="::1", port=25),)
    assert door.colour is Colour.GREEN
    assert door.limit == 1_000_000
    assert door.wait == timedelta(seconds=90)


def test_environment_wins_over_the_file(read):
    loaded = read("[door]\ncount = 2\ntls = true", {"MTABOUNCE_DOOR__COUNT": "3"})

    assert loaded.settings.door.count == 3
    assert loaded.origin(("door", "count")) == "MTABOUNCE_DOOR__COUNT"
    assert loaded.origin(("door", "tls")).endswith("house.toml:3")
    assert loaded.origin(("door", "wait")).endswith("default")


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("LISTEN", "127.0.0.1:25, /run/x.sock", ["127.0.0.1:25", "/run/x.sock"]),
        ("LISTEN", '["127.0.0.1:25"]', ["127.0.0.1:25"]),
        ("LISTEN", "[::1]:25", ["[::1]:25"]),
        ("LISTEN", "[]", []),
    ],
)
def test_list_in_the_environment_is_json_or_parted_by_commas(read, variable, text, expected):
    settings = read(environ={f"MTABOUNCE_DOOR__{variable}": text}).settings

    assert [str(address) for address in settings.door.listen] == expected


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("1", True), ("no", False)])
def test_switch_in_the_environment_is_read_as_people_write_it(read, text, expected):
    assert read(environ={"MTABOUNCE_DOOR__TLS": text}).settings.door.tls is expected


def test_variables_reach_into_named_sections(read):
    loaded = read(environ={"MTABOUNCE_WINDOW__NORTH__COUNT": "4", "MTABOUNCE_DOOR__WAIT": "1h"})

    assert loaded.settings.window["north"].count == 4
    assert loaded.settings.door.wait == timedelta(hours=1)


def test_variables_reach_into_lists_by_number(read):
    environ = {f"MTABOUNCE_LOG__{number}__PATH": f"/{number}" for number in range(11)}
    environ["MTABOUNCE_DOOR__LISTEN__0"] = "[::1]:25"

    loaded = read('[[log]]\npath = "/file"', environ)

    assert [str(log.path) for log in loaded.settings.log] == [f"/{number}" for number in range(11)]
    assert str(loaded.settings.door.listen[0]) == "[::1]:25"


def test_other_variables_are_left_alone(read):
    environ = {"MTABOUNCE_CONFIG": "x", "MTABOUNCE_CMD": "y", "OTHER__COUNT": "z"}

    assert read(environ=environ).settings == House()


def test_empty_variable_is_as_good_as_none(read):
    assert read("[door]\ncount = 2", {"MTABOUNCE_DOOR__COUNT": ""}).settings.door.count == 2


def test_relative_paths_start_at_the_folder_of_the_file(read, tmp_path):
    settings = read('[[log]]\npath = "mail.log"\n[[log]]\npath = "/var/log/mail.log"').settings

    assert [log.path for log in settings.log] == [tmp_path / "mail.log", Path("/var/log/mail.log")]


def test_home_and_credentials_directory_are_known_in_paths(read, tmp_path):
    (tmp_path / "word").write_text("swordfish")
    (tmp_path / "word").chmod(0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}

    loaded = read(
        '[door]\npassword_file = "$CREDENTIALS_DIRECTORY/word"\n[[log]]\npath = "~/x"', environ
    )

    assert loaded.settings.door.password_file.get_secret_value() == "swordfish"
    assert loaded.settings.log[0].path == Path.home() / "x"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[door]\ncuont = 1", 2, "[door] has no key 'cuont'; did you mean 'count'?"),
        ("[dor]", 1, "there is no section [dor]; did you mean [door]?"),
        ("\n[attic]", 2, "there is no section [attic]; there are [door], [log] and [window]"),
        (
            "count = 1",
            1,
            "the key 'count' stands outside of any section; [door] and [window] have it",
        ),
        ('[door]\npath = "x"', 2, "[door] has no key 'path'; [log] has it"),
        ("[[log]]\nxyz=1\npath='a'", 2, "[[log]] has no key 'xyz'; it has path"),
        ("[door]\ncount = '1'", 2, '[door] count: expected a whole number, found "1"'),
        ("[door]\ncount = true", 2, "[door] count: expected a whole number, found true"),
        ("[door]\ntls = 1", 2, "[door] tls: expected true or false, found 1"),
        ("[door]\ncount = 10", 2, "[door] count: must be at most 9, found 10"),
        (
            "[door]\nwait = 30",
            2,
            '[door] wait: expected a duration such as "90s", "5m" or "30d", found 30',
        ),
        (
            '[door]\nlisten = "::1:25"',
            2,
            '[door] listen: expected a list of addresses, found "::1:25"; write ["::1:25"]',
        ),
        (
            '[door]\ncolour = "geen"',
            2,
            '[door] colour: expected "red" or "green", found "geen"; did you mean "green"?',
        ),
        ("door = 5", 1, "[door]: expected a section, found 5"),
        ("[log]\npath='a'", 1, "[log] is a list of sections; write [[log]]"),
        ("[door.tls]", 1, "[door] tls: expected true or false, found a section"),
        ("[[log]]", 1, "[[log]]: the key 'path' is missing"),
        (
            "[window.south]\ncuont = 1",
            2,
            "[window.south] has no key 'cuont'; did you mean 'count'?",
        ),
        ("[door\n", 1, "not valid TOML: expected ']' at the end of a table declaration"),
        (
            "[door]\ncolour = red",
            2,
            'not valid TOML: there is no value, or it is text without "quotes"',
        ),
        ("[door]\na=1\na=2", 3, "not valid TOML: this key stands twice"),
        ("[door]\n[door]", 2, "not valid TOML: [door] stands twice: move its keys to line 1"),
        ("['door']\n[door]", 2, "not valid TOML: [door] stands twice"),
        ('"a\\nb" = 1', 1, 'the key "a\\u000Ab" stands outside of any section'),
    ],
)
def test_fault_in_the_file_is_told_in_one_line(refusal, text, line, message):
    assert refusal(text) == [f"DIR/house.toml:{line}: {message}"]


def test_file_that_cannot_be_held_is_refused(refusal):
    assert refusal("x = " + "[" * 9_999) == [
        "DIR/house.toml: lists or sections are nested too deeply"
    ]
    assert refusal("x = 0x" + "f" * 9_999) == ["DIR/house.toml: holds a number that is too large"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("DOOR__CUONT", "1", "[door] has no key 'cuont'; did you mean MTABOUNCE_DOOR__COUNT?"),
        ("DOR__COUNT", "1", "the configuration has no section 'dor'; did you mean MTABOUNCE_DOOR?"),
        ("DOOR__COUNT", "x", '[door] count: expected a whole number, found "x"'),
        ("DOOR__COUNT", "0", "[door] count: must be at least 1, found 0"),
        ("DOOR__TLS", "maybe", '[door] tls: expected true or false, found "maybe"'),
        ("LOG__1__PATH", "/x", "the one before it is not set; the first is 0"),
        ("LOG__0__PTAH", "/x", "[log.0] has no key 'ptah'; did you mean MTABOUNCE_LOG__0__PATH?"),
        ("DOOR__COLOUR", "\udcff", "is not UTF-8 text"),
    ],
)
def test_fault_in_the_environment_is_told_in_one_line(refusal, name, text, message):
    assert refusal(environ={f"MTABOUNCE_{name}": text}) == [f"MTABOUNCE_{name}: {message}"]


def test_several_faults_are_told_in_the_order_of_their_lines(refusal):
    told = refusal("[[log]]\n[window.a]\ncount = 0\n[door]\ncount = 0\nx = 1")

    assert [line.split(": ")[0] for line in told] == [f"DIR/house.toml:{n}" for n in (1, 3, 5, 6)]


def test_fault_that_lies_between_keys_is_told_of_the_section(refusal, tmp_path):
    (tmp_path / "word").touch(0o600)
    (tmp_path / "word").write_text("x")

    told = refusal('\n[door]\npassword = "x"\npassword_file = "word"')

    assert told == ["DIR/house.toml:2: [door]: takes either password or password_file, not both"]


def test_open_secret_is_refused_at_its_line(refusal, tmp_path):
    (tmp_path / "word").write_text("swordfish")
    (tmp_path / "word").chmod(0o644)

    told = refusal('[[door.keys]]\nid = "a"\nsecret_file = "word"')

    fault = (
        "the secret in DIR/word is open to other users (mode 0644): give it to the user whom"
        " mtabounce runs as, by chown, then run: chmod 600 DIR/word"
    )
    assert told == [f"DIR/house.toml:3: [[door.keys]] secret_file: {fault}"]


def test_secret_of_a_wrong_kind_is_not_repeated(refusal):
    (told,) = refusal("[door]\npassword = 12345")

    assert "12345" not in told


def test_missing_file_is_told_with_the_command_that_writes_one(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no such file; .*mtabounce config init"):
        load(House, tmp_path / "none.toml", {})


def test_unreadable_files_are_told(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"# ok\n# \xe4\n")

    with pytest.raises(ConfigError, match=r"latin\.toml:2: is not UTF-8 text"):
        load(House, tmp_path / "latin.toml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(House, tmp_path, {})


def test_byte_order_mark_and_dos_line_ends_are_taken(tmp_path):
    path = tmp_path / "dos.toml"
    path.write_bytes(b"\xef\xbb\xbf[door]\r\ncount = 2\r\n")

    assert load(House, path, {}).settings.door.count == 2


def test_files_are_looked_for_in_order(tmp_path):
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    second.touch()

    assert find(Path("given"), {"MTABOUNCE_CONFIG": "named"}, [first]) == Path("given")
    assert find(None, {"MTABOUNCE_CONFIG": "named"}, [second]) == Path("named")
    assert find(None, {}, [first, second]) == second
    assert find(None, {}, [first]) is None


def test_lines_are_found_in_every_way_of_writing():
    text = (
        "# head\n[a]\nb = '''\n[x]\n'''\nc.d = [\n 1,\n 2]\n[[l]]\nk=1\n[[l]]\n[l.m]\nk = {z = 1}\n"
        "[[l.n]]\n['q.r'.s]\nt = 1"
    )

    lines = lines_of(text)

    assert lines["a",] == 2
    assert lines["a", "b"] == 3
    assert lines["a", "c", "d", 1] == 6
    assert lines["l", 0, "k"] == 10
    assert lines["l", 1] == 11
    assert lines["l", 1, "m", "k", "z"] == 13
    assert lines["l", 1, "n", 0] == 14
    assert lines["q.r", "s", "t"] == 16


def test_file_with_every_key_reads_as_no_file_at_all(read):
    assert read(commented(House)).settings == House()


@pytest.mark.parametrize("key", [key for key in keys(House) if key.default], ids=lambda k: k.name)
def test_default_that_is_written_down_reads_as_itself(read, key):
    if key.header == "[door]":
        assert read(f"[door]\n{key.name} = {key.default}").settings == House()


def test_file_in_a_closed_folder_is_not_passed_over(tmp_path):
    """As another user than root, who may enter every folder: a loop of links is as closed."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert find(None, {}, [tmp_path / "a"]) == tmp_path / "a"


def test_passwords_are_in_no_value_that_is_shown(read):
    loaded = read('[door]\npassword = "swordfish"')

    assert dict(values(loaded.settings))["door", "password"] == '"***"'


_BARE = st.sampled_from(["door", "log", "window", "count", "listen", "keys", "x", "path", "tls"])
_TOML_VALUES = st.recursive(
    st.sampled_from(["1", "-0.5", "nan", "true", '"red"', '""', "1979-05-27", "0x" + "f" * 5000]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.tuples(_BARE, inner).map(lambda pair: f"{{ {pair[0]} = {pair[1]} }}"),
    ),
    max_leaves=4,
)
_STATEMENTS = st.one_of(
    st.tuples(_BARE, _TOML_VALUES).map(" = ".join),
    _BARE.map("[{}]".format),
    _BARE.map("[[{}]]".format),
    st.tuples(_BARE, _BARE).map(lambda names: f"[{names[0]}.{names[1]}]"),
    st.text(max_size=20),
)


def faults(path, environ):
    try:
        load(House, path, environ)
    except ConfigError as error:
        return str(error).split("\n")
    return []


@given(st.lists(_STATEMENTS, max_size=6).map("\n".join))
def test_no_file_whatever_ends_in_anything_but_settings_or_a_refusal(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / f"random-{os.getpid()}.toml"
    path.write_bytes(text.encode(errors="replace"))

    told = faults(path, {})

    assert all(line.startswith(f"{path}:") and line.isprintable() for line in told)


_VARIABLES = st.sampled_from([key.environment for key in keys(House) if key.environment])


@given(st.dictionaries(_VARIABLES | st.text("AB_").map("MTABOUNCE_".__add__), st.text()))
def test_no_environment_whatever_ends_in_anything_but_settings_or_a_refusal(environ):
    told = faults(None, environ)

    assert all(line.startswith("MTABOUNCE_") and line.isprintable() for line in told)
