"""What tests of sinks share: the database, and files with secrets."""

import pytest

from mtabounce.store.connection import connect


@pytest.fixture
async def conn(database_url):
    async with await connect(database_url, application_name="mtabounce test") as conn:
        yield conn


@pytest.fixture
def secret(tmp_path):
    def write(text):
        path = tmp_path / "secret"
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    return write
