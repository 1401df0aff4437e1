"""Return paths: signed ones prove themselves, others are read for what they are."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtabounce.verp import Checked, Keyring, Result, encode_number, pads, unwrapped, verp_recipient

TODAY = 20_000
KEYS = {"a": b"k" * 32, "b": b"j" * 32}
RING = Keyring("bounces.example.org", KEYS, 40)
PATH = RING.sign(4_711, TODAY)


def result(path, ring=RING, day=TODAY):
    return ring.check(path, day).result


def test_signed_path_is_genuine_and_gives_its_number_back():
    assert RING.check(PATH, TODAY) == Checked(Result.GENUINE, 4_711, (TODAY + 40) % 32_768)


def test_signed_path_is_made_as_it_is_written_down():
    local, _, domain = PATH.partition("@")
    token, _, mac = local.removeprefix("b+").partition("-")
    text = f"v1|{token[:4]}|{token[4:]}|{domain}".encode()
    expected = base64.b32encode(hmac.digest(KEYS["a"], text, "sha256")).decode().lower()[:16]

    assert (token[0], mac, local.islower()) == ("a", expected, True)


def test_case_may_change_on_the_way():
    assert result(PATH.upper()) is Result.GENUINE


def test_local_part_never_grows_too_long():
    assert len(RING.sign(2**63 - 1, TODAY).partition("@")[0]) <= 64


@pytest.mark.parametrize(("days", "said"), [(0, "genuine"), (40, "genuine"), (41, "expired")])
def test_path_is_good_until_its_day(days, said):
    assert result(PATH, day=TODAY + days) == said


def test_days_count_on_after_89_years():
    late = 32_767
    assert result(RING.sign(1, late), day=late + 3) is Result.GENUINE


@pytest.mark.parametrize("place", range(len(PATH)))
def test_changing_one_character_proves_nothing(place):
    for other in "aq7-+@":
        changed = PATH[:place] + other + PATH[place + 1 :]
        assert changed == PATH or not RING.check(changed, TODAY).is_signed


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (PATH.replace("@bounces.", "@other."), "foreign"),
        ("b+z" + PATH[3:], "unknown_key"),
        (PATH[:-20] + "aaaa@bounces.example.org", "unsigned"),
        ("b@bounces.example.org", "unsigned"),
        ("b+17@bounces.example.org", "unsigned"),
        ("b+\x00", "unsigned"),
        (PATH.replace("@", "\n@"), "unsigned"),
        (f"{PATH}\n", "unsigned"),
        ("b+" + "a" * 100_000, "unsigned"),
        ("", "unsigned"),
        ("b+aİ23-@bounces.example.org", "unsigned"),
    ],
)
def test_other_paths_are_told_apart(path, said):
    assert result(path) == said


def test_mac_of_a_missing_key_is_no_proof_where_there_are_no_keys():
    ring = Keyring("bounces.example.org", {"a": b"of no use"})

    assert result(ring.sign(1, TODAY), Keyring("bounces.example.org")) is Result.UNKNOWN_KEY


def test_old_key_is_believed_until_it_is_taken_away():
    turned = Keyring(RING.domain, {"b": KEYS["b"], "a": KEYS["a"]})

    assert result(PATH, turned) is Result.GENUINE
    assert turned.sign(4_711, TODAY)[2] == "b"
    assert result(PATH, Keyring(RING.domain, {"b": KEYS["b"]})) is Result.UNKNOWN_KEY


def test_without_keys_nothing_can_be_signed():
    with pytest.raises(ValueError, match="no key"):
        Keyring().sign(1, TODAY)


def test_secrets_are_in_no_repr():
    assert "kkkk" not in repr(RING)


@given(st.text(max_size=400))
def test_any_text_is_no_proof(text):
    assert not RING.check(text, TODAY).is_signed
    unwrapped(text)
    verp_recipient(text)


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=100))
def test_pads_make_the_hmac_of_any_key(secret, text):
    made = pads(secret)
    digest = hashlib.sha256(made.outer + hashlib.sha256(made.inner + text).digest()).digest()

    assert digest == hmac.digest(secret, text, "sha256")


@pytest.mark.parametrize("number", [0, -1])
def test_only_numbers_above_zero_are_written(number):
    with pytest.raises(ValueError, match="above 0"):
        encode_number(number)


@pytest.mark.parametrize(
    "wrapped",
    [
        f"prvs=1234abcdef={PATH}",
        PATH.replace("b+", "prvs=b+", 1).replace("@", "/1234abcdef@"),
        f"SRS0=HHH=TT=bounces.example.org={PATH.partition('@')[0]}@forwarder.example",
        f"srs0+hhh=tt=bounces.example.org={PATH.partition('@')[0]}@forwarder.example",
        f"SRS1=HHH=first.example==HHH=TT=bounces.example.org={PATH.partition('@')[0]}@second.example",
    ],
)
def test_wrappings_of_others_are_taken_off(wrapped):
    assert result(unwrapped(wrapped)) is Result.GENUINE


def test_path_that_nobody_wrapped_stays():
    assert unwrapped(PATH) == PATH


@pytest.mark.parametrize(
    ("path", "recipient"),
    [
        ("list+ann=example.net@bounces.example.org", "ann@example.net"),
        ("list+ann+tag=example.net@b.example.org", "ann+tag@example.net"),
        ("list+a=b=example.net@b.example.org", "a=b@example.net"),
        ("list+ann@bounces.example.org", ""),
        ("ann=example.net@bounces.example.org", ""),
        (PATH, ""),
    ],
)
def test_plain_verp_names_the_recipient(path, recipient):
    assert verp_recipient(path) == recipient
