"""What the receiver takes, by the settings; others may have wrapped an address of ours."""

import pytest

from mtabounce.pipeline.return_paths import today
from mtabounce.reload import is_ours, left_for_restart
from mtabounce.settings import load_settings

OWN = "bounces@b.example.org"


@pytest.fixture
def takes(tmp_path):
    def make(strict=False, own=OWN):
        key = tmp_path / "key"
        key.write_text("correct horse battery staple")
        key.chmod(0o600)
        path = tmp_path / "mtabounce.toml"
        path.write_text(
            f'[receiver]\nreturn_paths = ["{own}"]\n[return_path]\ndomain = "b.example.org"\n'
            f"require_signed = {str(strict).lower()}\nkeys = ["
            f'{{ id = "a", secret_file = "{key}" }}]\n'
        )
        settings = load_settings(path)
        return is_ours(settings), settings.return_path.ring().sign(7, today())

    return make


@pytest.mark.parametrize(
    "wrap",
    [
        "{local}@{domain}",
        "prvs=1234abcdef={local}@{domain}",
        "prvs={local}/1234abcdef@{domain}",
        "SRS0=HHH=TT={domain}={local}@b.example.org",
        "SRS1=HHH=first.example==HHH=TT={domain}={local}@b.example.org",
    ],
)
@pytest.mark.parametrize("is_signed", [False, True])
def test_wrapped_addresses_are_taken_as_the_ones_within(takes, wrap, is_signed):
    ours, signed = takes()
    local, _, domain = (signed if is_signed else OWN).partition("@")

    assert ours(wrap.format(local=local, domain=domain))
    assert not ours(wrap.format(local="other", domain=domain))
    strict, signed = takes(strict=True)
    assert strict(wrap.format(local=local, domain=domain)) is is_signed


def test_what_a_reload_leaves_is_named(tmp_path):
    def load(text):
        path = tmp_path / "mtabounce.toml"
        path.write_text(text)
        return load_settings(path)

    before = load('[receiver]\nreturn_paths = ["@a.example"]\n')
    taken = load('[receiver]\nreturn_paths = ["@b.example"]\n[headers]\ncampaign = ["X-C"]\n')
    left = load('[receiver]\nmax_size = "1MB"\n[[log]]\npath = "/var/log/mail.log"\n')

    assert left_for_restart(before, taken) == []
    assert left_for_restart(before, left) == ["[receiver]", "[log]"]


def test_of_ten_thousand_made_up_tokens_none_is_taken(takes):
    ours, signed = takes(strict=True)
    digits = "abcdefghijklmnopqrstuvwxyz234567"
    head, _, domain = signed.rpartition("@")

    for number in range(10_000):
        mac = "".join(digits[number * 7919 >> 5 * place & 31] for place in range(16))
        assert not ours(f"{head[:-16]}{mac}@{domain}")
    assert ours(signed)
