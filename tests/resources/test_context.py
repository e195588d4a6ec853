from __future__ import annotations

import asyncio
import datetime
import time

from bali.propagation import current
from bali.resources import Context, Principal, current_context, new_request_id


def test_a_context_has_a_request_id_of_its_own() -> None:
    assert Context().request_id != Context().request_id
    assert Context(request_id="given").request_id == "given"
    assert len(new_request_id()) == 32
    int(new_request_id(), 16)


def test_contexts_share_nothing() -> None:
    Context().response_metadata["x"] = "1"
    assert Context().response_metadata == {}
    assert Principal(id="a").claims is not Principal(id="b").claims


def test_no_deadline_means_no_time_remaining() -> None:
    context = Context.with_timeout(None)
    assert context.deadline is None
    assert context.time_remaining_seconds is None


def test_a_deadline_is_told_in_three_forms() -> None:
    context = Context.with_timeout(100, protocol="grpc", peer="10.0.0.1:99")
    assert (context.protocol, context.peer) == ("grpc", "10.0.0.1:99")
    assert context.deadline_monotonic is not None
    assert context.deadline_monotonic <= time.monotonic() + 100
    assert context.time_remaining_seconds is not None
    assert 0 < context.time_remaining_seconds <= 100
    assert context.deadline is not None
    assert context.deadline.tzinfo is datetime.UTC
    assert context.deadline > datetime.datetime.now(datetime.UTC)


def test_a_deadline_beyond_the_calendar_is_its_end() -> None:
    context = Context.with_timeout(99_999_999 * 3600)  # the longest that grpc-timeout can say
    assert context.deadline == datetime.datetime.max.replace(tzinfo=datetime.UTC)
    assert Context.with_timeout(1e300).deadline == context.deadline
    assert Context.with_timeout(float("inf")).deadline == context.deadline


def test_a_deadline_that_has_passed_leaves_no_time() -> None:
    assert Context.with_timeout(-5).time_remaining_seconds == 0


def test_an_empty_request_id_is_replaced() -> None:
    assert len(Context(request_id="").request_id) == 32


async def test_the_current_context_is_that_of_the_task() -> None:
    async def serve(context: Context) -> bool:
        current.set(context)
        await asyncio.sleep(0)
        return current_context() is context

    assert await asyncio.gather(*(serve(Context()) for _ in range(8))) == [True] * 8
    assert current_context() is None


def test_leaving_restores_the_context_before() -> None:
    outer, inner = Context(), Context()
    first = current.set(outer)
    second = current.set(inner)
    current.reset(second)
    assert current_context() is outer
    current.reset(first)
    assert current_context() is None
