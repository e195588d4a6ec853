"""Waiting for a coroutine in a thread, while somebody presses Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bali.app.execution import await_here
from bali.concurrency import background_loop


@contextlib.contextmanager
def on_ctrl_c(react: Callable[[], object]) -> Iterator[None]:
    """Have Ctrl-C do something before it interrupts the main thread."""

    def interrupt(*_: Any) -> None:
        react()
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def until_it_waits() -> None:
    """Return when the main thread waits in `await_here`."""
    names: list[str] = []
    while not (names and names[0] == "wait" and "await_here" in names):
        time.sleep(0.001)
        frame = sys._current_frames()[threading.main_thread().ident or 0]
        names = [found.f_code.co_name for found, _ in traceback.walk_stack(frame)]


def press_ctrl_c() -> None:
    """Interrupt the main thread, wherever this is called."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_the_result_and_the_error_are_those_of_the_coroutine() -> None:
    async def work(text: str) -> int:
        await asyncio.sleep(0)
        return int(text)

    assert await_here(work("7")) == 7
    with pytest.raises(ValueError, match="seven"):
        await_here(work("seven"))


def test_ctrl_c_before_it_begins_leaves_nothing_behind() -> None:
    async def work() -> None:
        await asyncio.sleep(1000)

    gate = threading.Event()  # keeps the loop busy until the interruption is there

    def blocked() -> None:
        until_it_waits()
        press_ctrl_c()
        gate.wait()

    background_loop().call_soon_threadsafe(blocked)
    coroutine = work()
    with on_ctrl_c(gate.set), pytest.raises(KeyboardInterrupt):
        await_here(coroutine)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_ctrl_c_waits_until_it_has_unwound() -> None:
    steps = []

    async def work() -> None:
        press_ctrl_c()
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0)
            steps.append("unwound")

    with on_ctrl_c(lambda: steps.append("pressed")), pytest.raises(KeyboardInterrupt):
        await_here(work())
    assert steps == ["pressed", "unwound"]


def test_ctrl_c_that_wakes_nobody_is_seen_all_the_same() -> None:
    async def work() -> None:
        until_it_waits()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        await asyncio.sleep(1000)

    coroutine = work()
    with on_ctrl_c(lambda: None), pytest.raises(KeyboardInterrupt):
        await_here(coroutine)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_what_it_makes_of_the_cancellation_counts() -> None:
    async def work() -> str:
        press_ctrl_c()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            return "done all the same"
        return "not interrupted"

    with on_ctrl_c(lambda: None):
        assert await_here(work()) == "done all the same"
