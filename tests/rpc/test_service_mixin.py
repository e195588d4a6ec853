"""ServiceMixin: something around each call of a hand-written servicer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from bali import ServiceMixin, db


class Recorded(ServiceMixin):
    def __init__(self) -> None:
        self.events: list[str] = []

    def setup(self) -> None:
        self.events.append("setup")

    def teardown(self) -> None:
        self.events.append("teardown")


class Service(Recorded):
    """Stands for a class over one that protoc wrote."""

    def GetUser(self, request: str, context: Any) -> str:
        self.events.append(request)
        return self.answer(request)

    def answer(self, request: str) -> str:
        return request.upper()

    def Fail(self, request: str, context: Any) -> str:
        raise LookupError(request)

    async def GetLater(self, request: str, context: Any) -> str:
        await asyncio.sleep(0)
        self.events.append(request)
        return request

    def Watch(self, request: str, context: Any) -> Iterator[str]:
        self.events.append(request)
        yield from request

    async def WatchLater(self, request: str, context: Any) -> AsyncIterator[str]:
        self.events.append(request)
        for letter in request:
            yield letter


AROUND = ["setup", "ab", "teardown"]


def test_a_plain_call_is_surrounded_and_its_helpers_are_not() -> None:
    service = Service()
    assert (service.GetUser("ab", None), service.events) == ("AB", AROUND)


def test_a_call_that_fails_is_torn_down() -> None:
    service = Service()
    with pytest.raises(LookupError):
        service.Fail("ab", None)
    assert service.events == ["setup", "teardown"]


async def test_asynchronous_calls_are_surrounded() -> None:
    service = Service()
    assert (await service.GetLater("ab", None), service.events) == ("ab", AROUND)


async def test_streams_are_surrounded_as_a_whole() -> None:
    service, later = Service(), Service()
    assert (list(service.Watch("ab", None)), service.events) == (["a", "b"], AROUND)
    assert [item async for item in later.WatchLater("ab", None)] == ["a", "b"]
    assert later.events == AROUND


async def test_streams_that_are_left_early_are_torn_down() -> None:
    service = Service()
    async with aclosing(service.WatchLater("ab", None)) as items:  # type: ignore[type-var]  # a generator
        await anext(items)
    assert service.events == AROUND


def test_the_default_database_is_at_hand() -> None:
    assert Service().db is db
