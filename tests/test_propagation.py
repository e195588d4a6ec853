"""The place of a call in its trace (W3C Trace Context)."""

from __future__ import annotations

import os
import re

import pytest

from bali.propagation import child_span, new_request_id, new_traceparent, trace_id_of
from bali.resources import Context

TRACE = "0af7651916cd43dd8448eb211c80319c"
RECEIVED = f"00-{TRACE}-b7ad6b7169203331-01"
FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def test_a_call_has_a_place_of_its_own_in_the_trace_of_its_caller() -> None:
    place = new_traceparent(RECEIVED)
    assert FORM.fullmatch(place)
    assert trace_id_of(place) == TRACE
    assert place.endswith("-01")
    assert "b7ad6b7169203331" not in place


@pytest.mark.parametrize(
    "received",
    [
        None,
        "",
        "nonsense",
        RECEIVED.upper(),
        RECEIVED.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        RECEIVED.encode(),
    ],
)
def test_what_is_not_valid_counts_as_none(received: str | bytes | None) -> None:
    place = new_traceparent(received)
    assert FORM.fullmatch(place)
    assert trace_id_of(place) != TRACE


def test_a_later_version_is_read_as_this_one() -> None:
    assert trace_id_of(new_traceparent(RECEIVED.replace("00-", "cc-", 1) + "-more")) == TRACE


def test_each_call_that_is_made_has_another_place() -> None:
    place = new_traceparent(RECEIVED)
    children = {child_span(place) for _ in range(10)}
    assert len(children) == 10
    assert {trace_id_of(child) for child in children} == {TRACE}


def test_a_context_keeps_its_place() -> None:
    context = Context(metadata={"traceparent": RECEIVED})
    assert context.traceparent == context.traceparent
    assert context.trace_id == TRACE
    assert Context().trace_id != Context().trace_id


def test_request_ids_are_all_different() -> None:
    made = {new_request_id() for _ in range(10_000)}
    assert len(made) == 10_000
    assert {len(name) for name in made} == {32}
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in made)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_request_ids_of_its_own() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        os.write(writing, new_request_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 32).decode() != new_request_id()
    os.close(reading)
    os.close(writing)
