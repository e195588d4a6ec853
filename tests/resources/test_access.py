"""Each call is one line of log, for those who want it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bali import Bali, NotFound, Resource, action


class ParcelResource(Resource):
    @action()
    async def find(self, number: int) -> str:
        if number == 0:
            raise NotFound("no parcel 0")
        if number < 0:
            raise RuntimeError("secret")
        return "here"

    @action()
    async def watch(self) -> AsyncIterator[str]:
        yield "here"
        yield "there"

    @action()
    async def wait(self) -> str:
        await asyncio.sleep(60)
        return "late"


app = Bali(title="parcel", resources=[ParcelResource])


def lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == "bali.access"]


async def attempt(operation: str, arguments: dict[str, Any]) -> None:
    metadata = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    with contextlib.suppress(Exception):  # the line is what counts
        await app.call(operation, arguments, metadata=metadata)


@pytest.mark.parametrize(("number", "code"), [(1, "OK"), (0, "NOT_FOUND"), (-1, "INTERNAL")])
async def test_a_call_is_one_line(caplog: pytest.LogCaptureFixture, number: int, code: str) -> None:
    caplog.set_level(logging.INFO)
    await attempt("parcels.find", {"number": number})
    (line,) = lines(caplog)
    assert (line.operation, line.protocol, line.code) == ("parcels.find", "local", code)
    assert line.trace_id == "a" * 32
    assert line.request_id
    assert line.duration_ms >= 0
    assert "secret" not in line.getMessage()


async def test_a_stream_is_one_line_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert [item.result async for item in app.stream("parcels.watch")] == ["here", "there"]  # type: ignore[attr-defined]  # the model is made at run time
    assert [line.code for line in lines(caplog)] == ["OK"]


async def test_a_caller_who_left_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    task = asyncio.create_task(attempt("parcels.wait", {}))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [line.code for line in lines(caplog)] == ["CANCELLED"]


async def test_nothing_is_written_unless_it_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    await attempt("parcels.find", {"number": 1})
    assert lines(caplog) == []
