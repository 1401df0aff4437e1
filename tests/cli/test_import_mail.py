"""import mail: each mail once, however often it is run, and what cannot be read is told of."""

import mailbox

import psycopg
import pytest
from click.testing import CliRunner

from mtabounce.cli import _mails, mtabounce


def mail(number):
    return f"From: a@example.org\nSubject: {number}\n\nHello {number}\n".encode()


@pytest.fixture
def run(tmp_path, database_url):
    config = tmp_path / "mtabounce.toml"
    config.write_text(f'[database]\nurl = "{database_url}"\n')

    def _run(*paths):
        args = ["--config", str(config), "import", "mail", *map(str, paths)]
        return CliRunner().invoke(mtabounce, args)

    return _run


@pytest.fixture
def subjects(database_url):
    def _subjects():
        with psycopg.connect(database_url) as conn:
            rows = conn.execute("SELECT content FROM mtabounce.inputs").fetchall()
        return sorted(content.split(b"Subject: ")[1][:1].decode() for (content,) in rows)

    return _subjects


def written(path, numbers):
    box = mailbox.mbox(path)
    for number in numbers:
        box.add(mail(number))
    box.close()
    return path


@pytest.mark.parametrize("small", [2**20, 0], ids=["in memory", "mapped"])
def test_mbox_that_grew_is_imported_again_from_where_it_was(
    run, subjects, tmp_path, monkeypatch, small
):
    monkeypatch.setattr(_mails, "_SMALL", small)
    box = written(tmp_path / "box", range(3))
    first = run(box)
    second = run(written(box, range(3, 5)))

    assert (first.exit_code, second.exit_code) == (0, 0), (first.output, second.output)
    assert "3 mails are in the inbox, 0 were there before" in first.output
    assert "2 mails are in the inbox, 3 were there before" in second.output
    assert subjects() == ["0", "1", "2", "3", "4"]


def test_what_cannot_be_read_is_told_of_and_the_rest_is_taken(run, subjects, tmp_path):
    folder, box = tmp_path / "folder", written(tmp_path / "box", range(2))
    folder.mkdir()

    result = run(folder, box)

    assert result.exit_code == 65
    assert f"{folder}: is a folder, but no Maildir" in result.output.replace("\n", "")
    assert subjects() == ["0", "1"]


def test_empty_file_is_nothing(run, subjects, tmp_path):
    empty = tmp_path / "empty"
    empty.touch()

    assert run(empty).exit_code == 0
    assert subjects() == []
