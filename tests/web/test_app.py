"""Health and readiness."""

import asyncio

from mtabounce.web import app


async def test_readiness_is_looked_into_once_a_second_whoever_asks(serving, monkeypatch):
    asked, answer = [], {}

    async def troubles():
        asked.append(1)
        await asyncio.sleep(0.05)
        return dict(answer)

    application = app.application(troubles)
    async with serving(before=lambda _: application) as ask:
        said = await asyncio.gather(*(ask("GET", "/readyz") for _ in range(20)))
        assert {one[0] for one in said} == {200}
        assert len(asked) == 1
        monkeypatch.setattr(app, "AGAIN", 0.0)
        answer["database"] = "is full"
        later = app.monotonic() + 2
        monkeypatch.setattr(app, "monotonic", lambda: later)

        status, said, _ = await ask("GET", "/readyz")

    assert (status, said["ready"], said["troubles"]) == (503, False, {"database": "is full"})
    assert len(asked) == 2
