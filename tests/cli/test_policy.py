"""policy show and simulate: what is in force, and what else would do."""

import pytest

from mtabounce.errors import UsageError

from .test_looking import lines


def test_thresholds_are_told_in_words(cli):
    output = cli("policy", "show").output

    assert "Preset standard." in output
    assert "hard: 1 message → blocklist\n" in output
    assert (
        "soft: 3 different messages over at least 7 days within 90 days → blocklist for 30 days,"
        " then twice as long, at most 180 days (for 90 days after that, 1 message is enough)\n"
        in output
    )


def test_show_names_overrides(cli, tmp_path):
    with (tmp_path / "mtabounce.toml").open("a") as config:
        config.write('[[policy.override]]\ncampaign = "spring"\nhard.count = 2\n')

    assert "For campaign spring:\n" in cli("policy", "show").output
    assert "hard: 2 different messages" in cli("policy", "show").output


def test_other_settings_show_whom_they_would_suppress(cli):
    (one,) = lines(cli("policy", "simulate", "--set", "min_trust=claimed", "--json"))

    assert (one["recipient"], one["was"], one["would_be"]) == ("ann@example.org", [], ["hard"])
    output = cli("policy", "simulate", "--set", "policy.min_trust=claimed").output
    assert "3 addresses" in output
    assert "1 would be suppressed as well" in output


def test_several_settings_are_tried_together(cli):
    found = lines(
        cli(
            *("policy", "simulate", "--json", "--since", "1d", "--set", "min_trust=claimed"),
            *("--set", "soft.count=1", "--set", "soft.span=0s", "--set", "hard.action=none"),
        )
    )

    assert [(one["recipient"], one["would_be"]) for one in found] == [("bob@example.net", ["soft"])]


def test_simulate_writes_nothing(cli):
    cli("policy", "simulate", "--set", "min_trust=claimed")

    assert lines(cli("suppressions", "list", "--json")) == []


def test_settings_that_change_nothing_are_said_to(cli):
    assert "Nothing differs." in cli("policy", "simulate", "--set", "preset=careful").output


def test_addresses_of_whom_nothing_was_said_since_are_left_out(cli):
    cli("suppressions", "add", "dan@example.org")

    output = cli("policy", "simulate", "--since", "2126-01-01", "--set", "preset=careful").output
    assert output.startswith("0 addresses")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("soft.coutn=2", "did you mean --set soft.count?"),
        ("soft.count=many", "--set soft.count"),
        ("soft.count", "KEY=VALUE"),
        ("=2", "KEY=VALUE"),
        ("preset=strict", "--set preset"),
        ("soft.span=99d", "span is longer than window"),
        ("breaker.at_least=2", "what the breaker held cannot be replayed"),
        ("policy.breaker.enabled=false", "what the breaker held cannot be replayed"),
    ],
)
def test_setting_that_cannot_be_is_refused(cli, change, said):
    error = cli("policy", "simulate", "--set", change).exception

    assert isinstance(error, UsageError)
    assert said in str(error)
