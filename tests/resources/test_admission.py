from __future__ import annotations

import asyncio
import time

import pytest

from bali.errors import ConfigurationError, DeadlineExceeded, Unavailable
from bali.resources import Admission, Context


class Waiting(Context):
    """A context whose caller waits exactly as long as the case says."""

    __slots__ = ("remaining",)

    def __init__(self, remaining: float | None) -> None:
        super().__init__()
        self.remaining = remaining

    @property
    def time_remaining_seconds(self) -> float | None:
        return self.remaining


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_there_is_room_up_to_the_limit() -> None:
    admission = Admission(max_in_flight=2)
    first = await admission.enter(Context())
    second = await admission.enter(Context())
    assert (admission.in_flight, admission.waiting) == (2, 0)
    admission.leave(first)
    admission.leave(second)
    assert admission.in_flight == 0


async def test_who_has_waited_longest_comes_first() -> None:
    admission = Admission(max_in_flight=1)
    entered = await admission.enter(Context())
    order: list[int] = []

    async def visit(number: int) -> None:
        inside = await admission.enter(Context())
        order.append(number)
        await asyncio.sleep(0)
        admission.leave(inside)

    visits = [asyncio.create_task(visit(number)) for number in range(4)]
    await turns()
    assert (order, admission.waiting) == ([], 4)
    admission.leave(entered)
    await asyncio.gather(*visits)
    assert order == [0, 1, 2, 3]
    assert (admission.in_flight, admission.waiting) == (0, 0)


async def test_nobody_overtakes_those_who_wait() -> None:
    admission = Admission(max_in_flight=1)
    entered = await admission.enter(Context())
    order: list[str] = []

    async def visit(name: str) -> None:
        inside = await admission.enter(Context())
        order.append(name)
        admission.leave(inside)

    waiting = asyncio.create_task(visit("waiting"))
    await turns()
    admission.leave(entered)
    await visit("late")
    await waiting
    assert order == ["waiting", "late"]


async def test_more_than_may_wait_are_refused_with_a_hint() -> None:
    admission = Admission(max_in_flight=1, max_waiting=1, retry_after_seconds=2.5)
    entered = await admission.enter(Context())
    waiting = asyncio.create_task(admission.enter(Context()))
    await turns()
    with pytest.raises(Unavailable) as caught:
        await admission.enter(Context())
    assert caught.value.reason == "OVERLOADED"
    assert caught.value.retry_after_seconds == 2.5
    admission.leave(entered)
    admission.leave(await waiting)


@pytest.mark.parametrize("limits", [{"max_in_flight": 0}, {"max_waiting": -1}])
def test_limits_that_let_nobody_in_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="let nobody in"):
        Admission(**limits)


async def test_no_waiting_at_all() -> None:
    admission = Admission(max_in_flight=1, max_waiting=0)
    await admission.enter(Context())
    with pytest.raises(Unavailable):
        await admission.enter(Context())


async def test_a_caller_without_time_is_not_let_in() -> None:
    admission = Admission()
    with pytest.raises(DeadlineExceeded):
        await admission.enter(Waiting(0))
    assert admission.in_flight == 0


async def test_a_caller_who_could_not_be_answered_in_time_is_refused_at_once() -> None:
    admission = Admission(max_in_flight=1)
    for _ in range(50):  # calls that took an hour each
        admission.in_flight += 1
        admission.leave(time.monotonic() - 3600)
    entered = await admission.enter(Waiting(60))  # there is room: let in
    with pytest.raises(Unavailable):
        await admission.enter(Waiting(60))
    patient = asyncio.create_task(admission.enter(Waiting(None)))
    generous = asyncio.create_task(admission.enter(Waiting(3600 * 24)))
    await turns()
    assert admission.waiting == 2
    admission.leave(entered)
    admission.leave(await patient)
    admission.leave(await generous)


async def test_waiting_ends_with_the_deadline() -> None:
    admission = Admission(max_in_flight=1)
    entered = await admission.enter(Context())
    with pytest.raises(DeadlineExceeded):
        await admission.enter(Waiting(1e-6))
    assert admission.waiting == 0
    admission.leave(entered)
    assert admission.in_flight == 0


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    admission = Admission(max_in_flight=1)
    entered = await admission.enter(Context())
    waiting = asyncio.create_task(admission.enter(Context()))
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert admission.waiting == 0
    admission.leave(entered)
    assert admission.in_flight == 0


async def test_room_given_to_a_waiter_who_is_cancelled_goes_to_the_next() -> None:
    admission = Admission(max_in_flight=1)
    entered = await admission.enter(Context())
    first = asyncio.create_task(admission.enter(Context()))
    second = asyncio.create_task(admission.enter(Context()))
    await turns()
    admission.leave(entered)  # gives the room to the first ...
    first.cancel()  # ... who goes away before it learns of it
    with pytest.raises(asyncio.CancelledError):
        await first
    admission.leave(await second)
    assert (admission.in_flight, admission.waiting) == (0, 0)


async def test_room_is_not_given_to_a_waiter_who_is_leaving() -> None:
    admission = Admission(max_in_flight=1)
    entered = await admission.enter(Context())
    first = asyncio.create_task(admission.enter(Context()))
    second = asyncio.create_task(admission.enter(Context()))
    await turns()
    first.cancel()  # has not had a turn to leave the queue
    admission.leave(entered)
    with pytest.raises(asyncio.CancelledError):
        await first
    admission.leave(await second)
    assert (admission.in_flight, admission.waiting) == (0, 0)


async def test_nothing_is_lost_or_exceeded_when_callers_come_and_go() -> None:
    admission = Admission(max_in_flight=3, max_waiting=1000)
    highest = 0

    async def visit(number: int) -> None:
        nonlocal highest
        inside = await admission.enter(Context())
        highest = max(highest, admission.in_flight)
        try:
            for _ in range(number % 4):
                await asyncio.sleep(0)
        finally:
            admission.leave(inside)

    visits = [asyncio.create_task(visit(number)) for number in range(300)]
    for number, task in enumerate(visits):
        if number % 3 == 0:
            await asyncio.sleep(0)
        if number % 5 == 0:
            task.cancel()
    await asyncio.gather(*visits, return_exceptions=True)
    assert highest == 3
    assert (admission.in_flight, admission.waiting) == (0, 0)
