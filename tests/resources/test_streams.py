from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from bali.concurrency import run_blocking
from bali.resources import Resource, action, streams
from bali.resources.streams import items_of
from tests.resources.samples import spec_of

TURN_LIMIT = 10_000


class OnlyIterator:
    """An asynchronous iterator that is no generator."""

    def __init__(self, n: int) -> None:
        self._rest = iter(range(n))

    def __aiter__(self) -> OnlyIterator:
        return self

    async def __anext__(self) -> int:
        for number in self._rest:
            return number
        raise StopAsyncIteration


class OnlyIterable:
    """Something that can be iterated asynchronously and is no iterator."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __aiter__(self) -> OnlyIterator:
        return OnlyIterator(self._n)


class CountResource(Resource):
    """Counts in every way there is."""

    log: list[str]
    begun: threading.Event
    go_on: threading.Event

    @action()
    async def asynchronous(self, n: int) -> AsyncIterator[int]:
        try:
            for number in range(n):
                yield number
        finally:
            await asyncio.sleep(0)
            self.log.append("closed")

    @action()
    def blocking(self, n: int) -> Iterator[int]:
        try:
            yield from range(n)
        finally:
            assert run_blocking(asyncio.sleep(0, "served")) == "served"
            self.log.append("closed")

    @action()
    async def returned(self, n: int) -> AsyncIterator[int]:
        return self.asynchronous(n)

    @action()
    def returned_by_blocking_code(self, n: int) -> AsyncIterator[int]:
        return self.asynchronous(n)

    @action()
    def returned_list(self, n: int) -> Iterator[int]:
        return list(range(n))  # type: ignore[return-value]  # the case

    @action()
    async def returned_iterable(self, n: int) -> AsyncIterator[int]:
        return OnlyIterable(n)  # type: ignore[return-value]  # the case

    @action()
    async def returned_iterator(self, n: int) -> AsyncIterator[int]:
        return OnlyIterator(n)

    @action()
    def stuck(self, n: int) -> Iterator[int]:
        try:
            yield 0
            self.begun.set()
            self.go_on.wait()
            yield 1
        finally:
            self.log.append("closed")

    @action()
    def failing(self, n: int) -> Iterator[int]:
        yield from range(n)
        raise KeyError("lost")


def resource() -> CountResource:
    made = CountResource()
    made.log = []
    made.begun, made.go_on = threading.Event(), threading.Event()
    return made


def items(made: CountResource, name: str, n: int = 3) -> Any:
    return items_of(spec_of(CountResource, name), made, {"n": n})


@pytest.mark.parametrize(
    "name",
    [
        "asynchronous",
        "blocking",
        "returned",
        "returned_by_blocking_code",
        "returned_list",
        "returned_iterable",
        "returned_iterator",
    ],
)
async def test_every_kind_of_stream_yields_its_items(name: str) -> None:
    made = resource()
    assert [item async for item in items(made, name)] == [0, 1, 2]
    assert [item async for item in items(made, name, 0)] == []


@pytest.mark.parametrize("name", ["asynchronous", "blocking", "returned"])
async def test_closing_early_closes_the_generator_of_the_action(name: str) -> None:
    made = resource()
    stream = items(made, name)
    assert await anext(stream) == 0
    await stream.aclose()
    assert made.log == ["closed"]


@pytest.mark.parametrize("name", ["returned_list", "returned_iterator"])
async def test_closing_what_cannot_be_closed_is_no_error(name: str) -> None:
    stream = items(resource(), name)
    assert await anext(stream) == 0
    await stream.aclose()


async def test_an_error_ends_the_stream() -> None:
    stream = items(resource(), "failing", 1)
    assert await anext(stream) == 0
    with pytest.raises(KeyError):
        await anext(stream)


async def test_a_cancelled_step_that_never_comes_back_closes_its_generator_in_the_end() -> None:
    made = resource()
    stream = items(made, "stuck")
    assert await anext(stream) == 0
    step = asyncio.create_task(anext(stream))
    await asyncio.to_thread(made.begun.wait)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert made.log == []
    made.go_on.set()
    for _ in range(TURN_LIMIT):
        if made.log:
            break
        await asyncio.to_thread(threading.Event().wait, 0.001)
    assert made.log == ["closed"]


async def test_no_step_begins_after_the_end() -> None:

    log: list[str] = []

    def generate() -> Iterator[int]:
        log.append("begun")
        yield 1

    blocking = streams._Blocking(generate())
    blocking.close()
    assert blocking.step() is streams._END
    assert log == []
