# ruff: noqa: ASYNC110 - another process's state can only be asked for
from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped] # it ships no types
import pytest

from tests.server.processes import PROGRAM, Service, service, spawn, start
from tests.server.served import open_channel


async def pids(running: Service, count: int) -> set[int]:
    """Ask until so many processes have answered."""
    seen: set[int] = set()
    async with asyncio.timeout(60):
        while len(seen) < count:
            answers = await asyncio.gather(*(running.hello() for _ in range(8)))
            seen |= {int(answer["pid"]) for answer in answers}
    return seen


def children(running: Service) -> list[psutil.Process]:
    return list(psutil.Process(running.process.pid).children())


async def test_workers_share_the_port_and_stop_cleanly(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2) as running:
        workers = await pids(running, 2)
        assert running.process.pid not in workers
        assert {child.pid for child in children(running)} == workers
        async with open_channel(f"127.0.0.1:{running.port}") as channel:
            call = asyncio.ensure_future(channel.unary_unary("/t/Echo")(b"0.7"))
            slow = asyncio.create_task(running.get("/slow?seconds=0.7"))
            await running.noted("echo")
            await running.noted("slow")
            running.process.send_signal(signal.SIGTERM)
            assert int(await call) in workers
            assert (await slow)[0] == 200
        assert await running.ended() == 0
        assert not any(psutil.pid_exists(pid) for pid in workers)
    assert running.notes().count("shutdown") == 2


async def test_workers_in_mode_rpc(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2, mode="rpc") as running:
        seen: set[int] = set()
        async with asyncio.timeout(30):
            while len(seen) < 2:
                option = [("grpc.use_local_subchannel_pool", 1)]
                async with open_channel(f"127.0.0.1:{running.port}", options=option) as channel:
                    echo = channel.unary_unary("/t/Echo")
                    seen.add(int(await echo(b"", wait_for_ready=True)))
        assert running.process.pid not in seen
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0


async def test_workers_have_sessions_of_their_own(tmp_path: Path) -> None:
    """And end with their parent all the same: the other tests here."""
    async with service(tmp_path, workers=2) as running:
        workers = await pids(running, 2)
        assert {os.getsid(pid) for pid in workers} == set(workers)


async def test_crashed_worker_is_replaced(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2) as running:
        before = await pids(running, 2)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await running.get("/crash")
        async with asyncio.timeout(30):
            while len(after := {child.pid for child in children(running)}) < 2 or after == before:
                await asyncio.sleep(0.05)
        assert len(before & after) == 1
        assert await pids(running, 2) == after
        running.process.send_signal(signal.SIGTERM)
        assert await running.ended() == 0
    assert any("ended with code -9" in line for line in running.errors)


async def test_worker_stopped_by_hand_is_replaced(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2) as running:
        before = await pids(running, 2)
        os.kill(min(before), signal.SIGTERM)
        async with asyncio.timeout(30):
            while len(after := {child.pid for child in children(running)}) < 2 or after == before:
                await asyncio.sleep(0.05)
        assert len(before & after) == 1
        running.process.send_signal(signal.SIGTERM)
        assert await running.ended() == 0


async def test_workers_stop_when_their_parent_is_killed(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2) as running:
        workers = await pids(running, 2)
        running.process.kill()
        async with asyncio.timeout(20):
            while any(_is_running(pid) for pid in workers):
                await asyncio.sleep(0.05)
    assert running.notes().count("shutdown") == 2


def _is_running(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


async def test_second_signal_kills_the_workers(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2, drain_delay_seconds=600) as running:
        workers = await pids(running, 2)
        running.process.send_signal(signal.SIGTERM)
        await running.draining()
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGTERM)
        assert await running.ended() == 143
        assert not any(psutil.pid_exists(pid) for pid in workers)


@pytest.mark.parametrize(("more", "workers"), [('"workers": 2', 2), ('"reload": true', 1)])
async def test_signal_to_the_whole_group_is_one_signal(
    tmp_path: Path, more: str, workers: int
) -> None:
    """Ctrl-C reaches the parent and a worker that reloads; none takes it for a second one."""
    options = f'{{"port": 0, "drain_delay_seconds": 0, {more}}}'
    running = spawn(PROGRAM, options, tmp_path, {}, start_new_session=True)
    await running.announced()
    await pids(running, workers)
    slow = asyncio.create_task(running.get("/slow?seconds=0.7"))
    await running.noted("slow")
    os.killpg(running.process.pid, signal.SIGINT)
    assert (await slow)[0] == 200
    assert await running.ended() == 0


async def test_reload_restarts_on_a_change(tmp_path: Path) -> None:
    """The port stays open: a request sent during the restart waits, it does not fail."""
    async with service(tmp_path, reload=True) as running:
        before = await running.hello()
        assert before["version"] == "1"
        main = tmp_path / "main.py"
        changed = main.read_text().replace('VERSION = "1"', 'VERSION = "2"')
        async with asyncio.timeout(60):
            while (after := await running.hello())["version"] != "2":
                main.write_text(changed)  # again: the watcher starts beside the server
                await asyncio.sleep(1)
        assert after["pid"] != before["pid"]

        good = main.read_text()
        main.write_text(good + "\nthis is no Python\n")
        async with asyncio.timeout(60):
            while not any("starts again on the next change" in line for line in running.errors):
                await asyncio.sleep(0.05)
        waiting = asyncio.create_task(running.get("/"))
        await asyncio.sleep(0.2)
        main.write_text(good)
        assert (await waiting)[0] == 200
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0


async def test_reload_without_watchfiles_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "watchfiles.py").write_text("raise ImportError('not here')\n")
    failed = await start(tmp_path, reload=True)
    assert "error: --reload needs the package watchfiles" in await failed.failed()


def test_worker_variable_is_not_inherited_further() -> None:
    code = (
        "import os; os.environ['BALI_WORKER'] = ''; "
        "from bali.server.workers import WorkerChannel; "
        "assert WorkerChannel.from_environment() is None; assert 'BALI_WORKER' not in os.environ"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
