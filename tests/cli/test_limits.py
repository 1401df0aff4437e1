"""Whatever connects for a command, or a check, keeps to the limits of the configuration."""

import pytest

from mtabounce.cli._database import opened
from mtabounce.doctor import patient_of
from mtabounce.store.connection import connect_sync


@pytest.mark.parametrize(
    ("options", "lock_timeout"), [("", "50ms"), ("-c lock_timeout=70ms", "70ms")]
)
def test_limits_of_the_configuration_hold_but_for_those_of_the_url(
    database_url, tmp_path, options, lock_timeout
):
    config = tmp_path / "mtabounce.toml"
    url = f"{database_url}&options={options.replace(' ', '%20').replace('=', '%3D')}"
    config.write_text(
        f'[database]\nurl = "{url}"\nlock_timeout = "50ms"\nstatement_timeout = "9s"\n'
    )

    with opened(config) as (_, of_command):
        for limited in (of_command, patient_of(config).url):
            with connect_sync(limited, application_name="a test") as conn:
                assert conn.execute("SHOW lock_timeout").fetchone() == (lock_timeout,)
                assert conn.execute("SHOW statement_timeout").fetchone() == ("9s",)
                assert conn.execute("SHOW search_path").fetchone() == ("mtabounce,public",)
