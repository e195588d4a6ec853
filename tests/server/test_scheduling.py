from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.processes import service
from tests.server.served import open_channel
from tests.server.test_workers import pids

pytestmark = pytest.mark.skipif(
    not hasattr(os, "SCHED_BATCH"), reason="this system has no scheduling in batches"
)


def policies(pid: int) -> set[int]:
    """Return the policies of all threads of a process."""
    return {os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()}


async def test_every_thread_of_a_server_runs_in_batches(tmp_path: Path) -> None:
    async with (
        service(tmp_path) as running,
        open_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        assert await channel.unary_unary("/t/Echo")(b"0")  # gRPC has its threads now
        assert policies(running.process.pid) == {os.SCHED_BATCH}
    assert policies(os.getpid()) == {os.SCHED_OTHER}


async def test_workers_run_in_batches_and_their_parent_does_not(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2) as running:
        for worker in await pids(running, 2):
            assert policies(worker) == {os.SCHED_BATCH}
        assert policies(running.process.pid) == {os.SCHED_OTHER}


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    async with service(tmp_path, batch_scheduling=False) as running:
        assert policies(running.process.pid) == {os.SCHED_OTHER}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "True batch"),
        ("os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))", "False idle"),
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "True batch"),
        # As a container's rules may have it.
        ("os.sched_setscheduler = lambda *given: open('/')", "False other"),
        ("del os.SCHED_BATCH", "False other"),
    ],
    ids=["plain", "chosen by others", "threads before", "not allowed", "not known"],
)
def test_policies(before: str, after: str) -> None:
    code = f"""
import os, pathlib, threading
names = {{{os.SCHED_BATCH}: "batch", {os.SCHED_IDLE}: "idle", {os.SCHED_OTHER}: "other"}}
{before}
from bali.server.scheduling import schedule_in_batches
found = schedule_in_batches()
threads = [int(task.name) for task in pathlib.Path("/proc/self/task").iterdir()]
print(found, *{{names[os.sched_getscheduler(thread)] for thread in threads}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (after, "")
