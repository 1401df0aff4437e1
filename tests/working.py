"""Workers, for tests of what becomes of inputs."""

import asyncio

from mtabounce.pipeline.decide import Recorder
from mtabounce.pipeline.judge_process import JudgeSettings
from mtabounce.pipeline.judging import Judging
from mtabounce.pipeline.worker import Worker
from mtabounce.policy import PolicySettings


def judging(**settings):
    """Return the process that judges, by *settings* of JudgeSettings. Who starts it closes it."""
    return Judging(JudgeSettings(**settings), deadline=10, memory=2**28)


async def worked(connecting, policy=None, **settings):
    """Work until nothing waits, as *settings* of a worker say."""
    recorder = Recorder(policy or PolicySettings())
    await Worker(
        connecting, judging(), recorder, asyncio.Event(), until_idle=True, **settings
    ).run()
