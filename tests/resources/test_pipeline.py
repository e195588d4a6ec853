from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import BaseModel

from bali.concurrency import run_blocking
from bali.errors import (
    BaliError,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from bali.resources import (
    Admission,
    Call,
    Collector,
    Context,
    HasScope,
    IsAuthenticated,
    Permission,
    Pipeline,
    Principal,
    Resource,
    ResourceSpec,
    action,
    current_context,
)
from tests.resources.samples import Item, MemoryStore, model_over, recording_unit, spec_of

STORE = MemoryStore()
SECRET = "password hunter2"
mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="")


class Slow(Permission):
    """Lets others have their turn, then looks again."""

    async def has_permission(self, context: Context) -> bool:
        before = context.principal
        await asyncio.sleep(0)
        return before is context.principal


class Broken(Permission):
    def has_permission(self, context: Context) -> bool:
        raise KeyError(SECRET)


class Refusing(Permission):
    def has_permission(self, context: Context) -> bool:
        raise FailedPrecondition(reason="CLOSED")


class Script:
    """What the actions of one test do, and what they saw."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.begun = asyncio.Event()
        self.in_thread = threading.Event()
        self.go_on = threading.Event()
        self.ended = threading.Event()

    async def wait(self) -> str:
        """Wait for ever on the loop, and take a while to unwind."""
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(3):
                await asyncio.sleep(0)
            self.log.append("unwound")
        return "never"


script = Script()


@pytest.fixture(autouse=True)
async def _script() -> AsyncIterator[None]:
    global script  # noqa: PLW0603 - the actions below see it
    script = Script()
    STORE.rows, STORE.log = {}, []
    yield
    script.go_on.set()


class ProbeResource(Resource):
    model = model_over(STORE)
    schema = Item
    actions = ()

    @action()
    async def answer(self, value: int) -> int:
        return value

    @action()
    def blocking_answer(self, value: int) -> int:
        return value

    @action()
    async def whoami(self) -> str:
        principal, context = self.auth, self.context
        for _ in range(5):
            await asyncio.sleep(0)
            assert current_context() is context is self.context
            assert self.auth is principal
        self.context.response_metadata["x"] = context.request_id
        return f"{principal and principal.id} {context.operation} {context.request_id}"

    @action()
    def blocking_whoami(self) -> str:
        async def look() -> Context | None:
            await asyncio.sleep(0)
            return current_context()

        context: Context = self.context
        seen = [current_context(), run_blocking(look())]
        assert seen == [context, context]
        return f"{self.auth and self.auth.id} {context.operation} {context.request_id}"

    @action()
    async def writes_and_waits(self) -> str:
        STORE.rows[1] = {"id": 1}
        return await script.wait()

    @action()
    def writes_and_blocks(self) -> str:
        STORE.rows[1] = {"id": 1}
        own = script  # the thread may outlast its test
        try:
            return run_blocking(own.wait())
        finally:
            own.log.append("thread ended")

    @action()
    def computes(self) -> str:
        STORE.rows[1] = {"id": 1}
        script.in_thread.set()
        script.go_on.wait()
        try:
            run_blocking(asyncio.sleep(0))
        except asyncio.CancelledError:
            script.log.append("refused")
        finally:
            script.ended.set()
        return "never"

    @action()
    async def fails(self, how: str) -> int:
        STORE.rows[1] = {"id": 1}
        await FAILURES[how]()
        return 1

    @action()
    def blocking_fails(self, how: str) -> int:
        STORE.rows[1] = {"id": 1}
        if how == "leaves_the_program":  # not on the loop, which it would end
            raise SystemExit(3)
        return int(run_blocking(FAILURES[how]()))

    @action()
    def stops(self) -> int:
        return next(iter([]))

    @action()
    async def wrong(self) -> int:
        STORE.rows[1] = {"id": 1}
        return SECRET  # type: ignore[return-value]  # the case

    @action()
    async def calls_another(self) -> str:
        inner = Context(request_id="inner")
        result = await Pipeline().run(calling("whoami", inner))
        assert current_context() is self.context
        return f"{self.context.request_id} {result.result}"  # type: ignore[union-attr]

    @action()
    def returns_coroutine(self) -> int:
        return finished(3)  # type: ignore[return-value]  # the case

    @action(permission_classes=[IsAuthenticated])
    async def guarded(self) -> int:
        script.log.append("ran")
        return 1

    @action(permission_classes=[IsAuthenticated & Slow, HasScope("a") | ~HasScope("b")])
    async def composed(self) -> int:
        return 1

    @action(permission_classes=[Broken])
    async def broken(self) -> int:
        return 1

    @action(permission_classes=[Refusing])
    async def refusing(self) -> int:
        return 1

    # -- streams

    @action()
    async def ticks(self, count: int = 3) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            assert current_context() is self.context
            yield number

    @action()
    async def marks(self, name: str) -> AsyncIterator[str]:
        mark.set(name)
        for _ in range(3):
            yield f"{mark.get()} {current_context() is self.context}"

    @action()
    async def stream_writes(self, fail: str = "") -> AsyncIterator[int]:
        STORE.rows[1] = {"id": 1}
        yield 1
        STORE.rows[2] = {"id": 2}
        if fail:
            await FAILURES[fail]()
        yield 2

    @action()
    async def stream_waits(self) -> AsyncIterator[str]:
        STORE.rows[1] = {"id": 1}
        yield "first"
        yield await script.wait()

    @action()
    def blocking_stream_waits(self) -> Iterator[str]:
        STORE.rows[1] = {"id": 1}
        yield "first"
        yield run_blocking(script.wait())

    @action()
    def blocking_ticks(self, count: int = 3) -> Iterator[int]:
        for number in range(count):
            assert current_context() is self.context
            yield number

    @action()
    async def wrong_ticks(self) -> AsyncIterator[int]:
        yield 1
        yield SECRET  # type: ignore[misc]  # the case

    @action(permission_classes=[IsAuthenticated])
    async def guarded_ticks(self) -> AsyncIterator[int]:
        script.log.append("ran")
        yield 1


async def finished(value: int) -> int:
    return value


async def not_found() -> int:
    raise NotFound("gone", reason="GONE") from KeyError("cause")


async def bug() -> int:
    raise KeyError(SECRET)


async def own_validation() -> int:
    return Item.model_validate({"name": SECRET}).id


async def own_timeout() -> int:
    raise TimeoutError(SECRET)


async def own_timeout_block() -> int:
    async with asyncio.timeout(0):
        await asyncio.Event().wait()
    return 1


async def cancelled_task() -> int:
    task = asyncio.create_task(asyncio.Event().wait())
    task.cancel()
    await task
    return 1


async def leaves_the_program() -> int:
    raise SystemExit(3)


async def grouped() -> int:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(not_found())
        tasks.create_task(asyncio.Event().wait())
    return 1


async def grouped_bugs() -> int:
    raise ExceptionGroup(SECRET, [NotFound(), KeyError(SECRET)])


FAILURES: dict[str, Callable[[], Any]] = {
    function.__name__: function
    for function in (
        not_found,
        bug,
        own_validation,
        own_timeout,
        own_timeout_block,
        cancelled_task,
        leaves_the_program,
        grouped,
        grouped_bugs,
    )
}
BUGS = [
    "bug",
    "own_validation",
    "own_timeout",
    "own_timeout_block",
    "cancelled_task",
    "grouped_bugs",
]


class Tokens:
    """Knows callers by a header; refuses some."""

    async def authenticate(self, context: Context) -> Principal | None:
        token = context.metadata.get("authorization")
        await asyncio.sleep(0)
        if token is None:
            return None
        if token == "expired":
            raise Unauthenticated(reason="TOKEN_EXPIRED")
        if token == "broken":
            raise KeyError(SECRET)
        return Principal(id=str(token), scopes=frozenset({str(token)}))


def pipeline(**options: Any) -> Pipeline:
    options.setdefault("units", [STORE.unit])
    return Pipeline(**options)


@functools.cache
def probes() -> ResourceSpec:
    return Collector().collect(ProbeResource)


def calling(name: str, context: Context | None = None, /, **arguments: Any) -> Call:
    spec = probes().action(name)
    assert spec is not None
    return Call(spec=spec, arguments=arguments, context=context or Context())


async def run(name: str, context: Context | None = None, /, **arguments: Any) -> Any:
    return await pipeline().run(calling(name, context, **arguments))


async def error_of(name: str, context: Context | None = None, /, **arguments: Any) -> BaliError:
    with pytest.raises(BaliError) as caught:
        await run(name, context, **arguments)
    return caught.value


async def items(name: str, context: Context | None = None, /, **arguments: Any) -> list[Any]:
    return [item async for item in pipeline().stream(calling(name, context, **arguments))]


def results(given: list[BaseModel]) -> list[Any]:
    return [item.result for item in given]  # type: ignore[attr-defined]  # wrapped values


async def until_begun(task: asyncio.Task[Any]) -> None:
    """Wait until the action of this test waits, or the task has ended before."""
    waiting = asyncio.create_task(script.begun.wait())
    await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task


class Soon(Context):
    """A context whose deadline passes when the test says so."""

    __slots__ = ("remaining",)

    def __init__(self, remaining: float = 3600) -> None:
        super().__init__()
        self.remaining = remaining

    @property
    def time_remaining_seconds(self) -> float | None:
        return self.remaining


# -- one call ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["answer", "blocking_answer"])
async def test_a_call_is_answered_and_committed(name: str) -> None:
    assert (await run(name, value="3")).result == 3
    assert STORE.log == ["open", "commit"]


async def test_a_blocking_action_may_return_a_coroutine() -> None:
    assert (await run("returns_coroutine")).result == 3


async def test_a_prepared_action_is_answered_as_any() -> None:
    one = pipeline()
    call = calling("answer", value=1)
    one.prepare(call.spec)
    assert (await one.run(call)).result == 1  # type: ignore[union-attr]
    assert (await one.run(call)).result == 1  # type: ignore[union-attr]


async def test_no_unit_is_opened_for_a_request_that_is_wrong() -> None:
    assert isinstance(await error_of("answer", value="x"), ValidationFailed)
    assert STORE.log == []


@pytest.mark.parametrize("name", ["whoami", "blocking_whoami"])
async def test_two_calls_at_once_never_see_each_others_state(name: str) -> None:
    one = pipeline(authenticator=Tokens())
    contexts = [Context(metadata={"authorization": f"user{n}"}) for n in range(50)]
    answers = await asyncio.gather(*(one.run(calling(name, context)) for context in contexts))
    for number, (answer, context) in enumerate(zip(answers, contexts, strict=True)):
        assert answer is not None
        assert answer.result == f"user{number} probes.{name} {context.request_id}"  # type: ignore[attr-defined]
        if name == "whoami":
            assert context.response_metadata == {"x": context.request_id}
    assert current_context() is None


async def test_a_call_within_a_call_has_its_own_context() -> None:
    context = Context(request_id="outer")
    assert (await run("calls_another", context)).result == "outer None probes.whoami inner"


async def test_the_current_context_ends_with_the_call() -> None:
    await run("answer", value=1)
    assert current_context() is None
    await error_of("fails", how="bug")
    assert current_context() is None
    await items("ticks")
    assert current_context() is None


# -- who may -----------------------------------------------------------------------------------


async def test_permissions_are_asked_before_the_request_is_looked_at() -> None:
    error = await error_of("guarded", zork=1)
    assert isinstance(error, Unauthenticated)
    assert (script.log, STORE.log) == ([], [])


@pytest.mark.parametrize("token", ["a", "b", None])
async def test_composed_permissions_are_enforced(token: str | None) -> None:
    one = pipeline(authenticator=Tokens())
    metadata = {} if token is None else {"authorization": token}
    call = calling("composed", Context(metadata=metadata))
    if token == "a":
        assert (await one.run(call)).result == 1  # type: ignore[union-attr]
    else:
        with pytest.raises(Unauthenticated if token is None else PermissionDenied):
            await one.run(call)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("metadata", "expected", "reason"),
    [
        ({}, Unauthenticated, "UNAUTHENTICATED"),
        ({"authorization": "expired"}, Unauthenticated, "TOKEN_EXPIRED"),
        ({"authorization": "broken"}, Internal, "INTERNAL"),
    ],
)
async def test_callers_who_are_not_known_are_refused(
    streaming: bool, metadata: dict[str, str], expected: type[BaliError], reason: str
) -> None:
    one = pipeline(authenticator=Tokens())
    context = Context(metadata=metadata)
    stream = one.stream(calling("guarded_ticks", context))
    with pytest.raises(expected) as caught:
        await (anext(stream) if streaming else one.run(calling("guarded", context)))
    await stream.aclose()
    assert caught.value.reason == reason
    assert SECRET not in caught.value.detail
    assert (script.log, STORE.log) == ([], [])


async def test_a_stream_is_for_those_who_may() -> None:
    one = pipeline(authenticator=Tokens())
    call = calling("guarded_ticks", Context(metadata={"authorization": "ann"}))
    assert results([item async for item in one.stream(call)]) == [1]


async def test_a_principal_that_is_known_already_is_kept() -> None:
    one = pipeline(authenticator=Tokens())
    known = Context(principal=Principal(id="known"), metadata={"authorization": "broken"})
    assert (await one.run(calling("guarded", known))).result == 1  # type: ignore[union-attr]
    assert known.principal == Principal(id="known")


async def test_errors_of_permissions() -> None:
    assert (await error_of("broken")).reason == "INTERNAL"
    assert (await error_of("refusing")).reason == "CLOSED"


# -- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fails", "blocking_fails"])
async def test_an_error_on_purpose_passes_as_it_is_and_rolls_back(name: str) -> None:
    error = await error_of(name, how="not_found")
    assert (type(error), error.reason, error.detail) == (NotFound, "GONE", "gone")
    assert isinstance(error.__cause__, KeyError)
    assert STORE.log == ["open", "rollback NotFound"]
    assert STORE.rows == {}


@pytest.mark.parametrize("name", ["fails", "blocking_fails"])
@pytest.mark.parametrize("how", [*BUGS, "leaves_the_program"])
async def test_a_bug_is_internal_and_tells_nothing(
    name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context(request_id="r-1")
    with caplog.at_level(logging.ERROR, "bali.calls"):
        error = await error_of(name, context, how=how)
    assert type(error) is Internal
    assert SECRET not in repr(vars(error))
    assert (error.detail, error.field_errors, error.metadata) == (Internal().detail, (), {})
    assert STORE.rows == {}
    assert STORE.log[1].startswith("rollback")
    (record,) = caplog.records
    assert record.getMessage() == f"unexpected exception in probes.{name}, request id r-1"
    assert (record.request_id, record.operation) == ("r-1", f"probes.{name}")  # type: ignore[attr-defined]
    assert record.exc_info is not None


async def test_stop_iteration_in_a_blocking_action_is_a_bug_as_well() -> None:
    assert type(await error_of("stops")) is Internal


async def test_the_error_of_one_task_of_a_group_is_the_answer() -> None:
    error = await error_of("fails", how="grouped")
    assert (type(error), error.reason) == (NotFound, "GONE")


async def test_a_wrong_result_is_internal_rolled_back_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert type(await error_of("wrong")) is Internal
    assert STORE.rows == {}
    assert "ProbeResource.wrong" in caplog.text
    assert "which is not the" in caplog.text


async def test_nothing_is_logged_of_an_error_on_purpose(caplog: pytest.LogCaptureFixture) -> None:
    await error_of("fails", how="not_found")
    assert caplog.records == []


# -- units of work -----------------------------------------------------------------------------


def units(log: list[str], **fails: str) -> list[Any]:
    return [lambda name=name: recording_unit(log, name, fails=fails.get(name, "")) for name in "ab"]


async def test_without_units_a_call_is_answered() -> None:
    assert (await Pipeline().run(calling("answer", value=1))).result == 1  # type: ignore[union-attr]


async def test_several_units_commit_in_order() -> None:
    log: list[str] = []
    await pipeline(units=units(log)).run(calling("answer", value=1))
    assert log == ["open b", "open a", "commit a", "commit b"]


async def test_several_units_roll_back_together() -> None:
    log: list[str] = []
    with pytest.raises(NotFound):
        await pipeline(units=units(log)).run(calling("fails", how="not_found"))
    assert log == ["open b", "open a", "rollback a NotFound", "rollback b NotFound"]


async def test_when_the_first_cannot_commit_the_others_roll_back() -> None:
    log: list[str] = []
    with pytest.raises(Internal):
        await pipeline(units=units(log, a="commit")).run(calling("answer", value=1))
    assert log == ["open b", "open a", "fail a", "rollback b RuntimeError"]


async def test_when_one_cannot_open_the_others_are_closed() -> None:
    log: list[str] = []
    with pytest.raises(Internal):
        await pipeline(units=units(log, a="open")).run(calling("answer", value=1))
    assert log == ["open b", "rollback b RuntimeError"]


# -- cancellation ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["writes_and_waits", "writes_and_blocks"])
async def test_cancelling_rolls_back_after_the_action_has_unwound(name: str) -> None:
    one = pipeline()
    task = asyncio.create_task(one.run(calling(name)))
    await until_begun(task)
    assert (one.admission.in_flight, STORE.rows) == (1, {1: {"id": 1}})
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.log[0] == "unwound"
    assert STORE.log == ["open", "rollback CancelledError"]
    assert (one.admission.in_flight, STORE.rows) == (0, {})


async def test_cancelling_does_not_wait_for_a_thread_that_computes() -> None:
    one = pipeline()
    task = asyncio.create_task(one.run(calling("computes")))
    await asyncio.to_thread(script.in_thread.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (one.admission.in_flight, STORE.rows) == (0, {})
    script.go_on.set()
    await asyncio.to_thread(script.ended.wait)
    assert script.log == ["refused"]


async def test_cancelling_while_waiting_for_room_takes_none() -> None:
    one = pipeline(admission=Admission(max_in_flight=1))
    entered = await one.admission.enter(Context())
    task = asyncio.create_task(one.run(calling("answer", value=1)))
    await asyncio.sleep(0)
    assert one.admission.waiting == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (one.admission.waiting, STORE.log) == (0, [])
    one.admission.leave(entered)
    assert one.admission.in_flight == 0


@pytest.mark.parametrize("name", ["stream_waits", "blocking_stream_waits"])
async def test_cancelling_a_stream_rolls_back(name: str) -> None:
    one = pipeline()
    stream = one.stream(calling(name))
    assert (await anext(stream)).result == "first"  # type: ignore[attr-defined]
    task = asyncio.create_task(anext(stream))
    await until_begun(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.log == ["unwound"]
    assert STORE.log == ["open", "rollback CancelledError"]
    assert (one.stream_admission.in_flight, STORE.rows) == (0, {})


# -- deadlines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["answer", "blocking_answer"])
async def test_a_deadline_that_has_passed_starts_nothing(name: str) -> None:
    error = await error_of(name, Context.with_timeout(-1), value=1)
    assert isinstance(error, DeadlineExceeded)
    assert STORE.log == []


@pytest.mark.parametrize("name", ["writes_and_waits", "writes_and_blocks"])
async def test_a_deadline_that_passes_in_the_action_rolls_back(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = pipeline()
    with pytest.raises(DeadlineExceeded):
        await one.run(calling(name, Soon(1e-3)))
    assert STORE.rows == {}
    assert one.admission.in_flight == 0
    assert STORE.log in ([], ["open", "rollback CancelledError"])
    assert caplog.records == []


async def test_a_bug_in_answer_to_the_deadline_is_logged_and_the_deadline_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stubborn(Resource):
        name = "stubborn"

        @action()
        async def translate(self) -> int:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ConnectionError(SECRET) from None
            return 1

    spec = spec_of(Stubborn, "translate")
    with pytest.raises(DeadlineExceeded) as caught:
        await Pipeline().run(Call(spec=spec, arguments={}, context=Soon(1e-3)))
    assert SECRET not in caught.value.detail
    assert "unexpected exception in stubborns.translate" in caplog.text


async def test_waiting_for_room_ends_with_the_deadline() -> None:
    one = pipeline(admission=Admission(max_in_flight=1))
    await one.admission.enter(Context())
    with pytest.raises(DeadlineExceeded):
        await one.run(calling("answer", Soon(1e-3), value=1))
    assert one.admission.waiting == 0


async def test_without_room_a_call_is_refused_with_a_hint() -> None:
    one = pipeline(admission=Admission(max_in_flight=1, max_waiting=0))
    await one.admission.enter(Context())
    with pytest.raises(Unavailable) as caught:
        await one.run(calling("answer", value=1))
    assert caught.value.retry_after_seconds == 1
    assert one.admission.in_flight == 1


# -- streams -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ticks", "blocking_ticks"])
async def test_a_stream_yields_its_items_in_one_unit(name: str) -> None:
    assert results(await items(name, count="3")) == [0, 1, 2]
    assert results(await items(name, count=0)) == []
    assert STORE.log == ["open", "commit"] * 2


async def test_a_stream_commits_at_its_end() -> None:
    assert results(await items("stream_writes")) == [1, 2]
    assert sorted(STORE.rows) == [1, 2]
    assert STORE.log == ["open", "commit"]


@pytest.mark.parametrize("how", [*BUGS, "not_found", "grouped", "leaves_the_program"])
async def test_an_error_in_a_stream_comes_after_its_items_and_rolls_back(how: str) -> None:
    stream = pipeline().stream(calling("stream_writes", fail=how))
    assert results([await anext(stream)]) == [1]
    with pytest.raises(BaliError) as caught:
        await anext(stream)
    assert type(caught.value) is (NotFound if how in ("not_found", "grouped") else Internal)
    assert SECRET not in caught.value.detail
    assert STORE.rows == {}


async def test_a_wrong_item_is_internal() -> None:
    stream = pipeline().stream(calling("wrong_ticks"))
    assert results([await anext(stream)]) == [1]
    with pytest.raises(Internal):
        await anext(stream)


async def test_a_stream_that_is_closed_early_rolls_back_and_gives_room_back() -> None:
    one = pipeline()
    async with aclosing(one.stream(calling("stream_writes"))) as stream:
        await anext(stream)
        assert one.stream_admission.in_flight == 1
    assert STORE.log == ["open", "rollback GeneratorExit"]
    assert (one.stream_admission.in_flight, STORE.rows) == (0, {})
    assert one.admission.in_flight == 0


async def test_a_stream_may_be_closed_by_another_task() -> None:
    stream = pipeline().stream(calling("marks", name="a"))
    await anext(stream)
    await asyncio.create_task(stream.aclose())
    assert STORE.log == ["open", "rollback GeneratorExit"]


async def test_a_stream_that_never_began_is_closed_quietly() -> None:
    one = pipeline()
    await one.stream(calling("ticks")).aclose()
    assert (one.stream_admission.in_flight, STORE.log) == (0, [])


async def test_streams_interleaved_in_one_task_never_see_each_others_state() -> None:
    one = pipeline(units=[])
    streams = [one.stream(calling("marks", name=name)) for name in "abc"]
    seen = [results([await anext(stream) for stream in streams]) for _ in range(3)]
    assert seen == [["a True", "b True", "c True"]] * 3
    assert mark.get() == ""
    for stream in streams:
        await stream.aclose()


async def test_a_stream_asks_for_no_room_beyond_its_own() -> None:
    one = pipeline(stream_admission=Admission(max_in_flight=1, max_waiting=0))
    async with aclosing(one.stream(calling("ticks"))) as stream:
        await anext(stream)
        with pytest.raises(Unavailable):
            await anext(one.stream(calling("ticks")))
        assert (await one.run(calling("answer", value=1))).result == 1  # type: ignore[union-attr]
    assert results([item async for item in one.stream(calling("ticks"))]) == [0, 1, 2]


async def test_a_stream_without_time_does_not_begin() -> None:
    with pytest.raises(DeadlineExceeded):
        await items("ticks", Context.with_timeout(-1))
    assert STORE.log == []


@pytest.mark.parametrize("name", ["stream_waits", "blocking_stream_waits"])
async def test_a_deadline_that_passes_while_an_item_is_made_rolls_back(name: str) -> None:
    context = Soon()
    one = pipeline()
    stream = one.stream(calling(name, context))
    await anext(stream)
    context.remaining = 1e-3
    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    assert STORE.log == ["open", "rollback CancelledError"]
    assert (one.stream_admission.in_flight, STORE.rows) == (0, {})


async def test_a_deadline_that_passes_while_the_caller_is_busy_is_told_at_the_next_item() -> None:
    context = Soon()
    stream = pipeline().stream(calling("stream_writes", context))
    await anext(stream)
    context.remaining = 0
    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    assert STORE.log == ["open", "rollback GeneratorExit"]
    assert STORE.rows == {}


async def test_an_error_while_closing_does_not_escape_as_it_is() -> None:
    log: list[str] = []

    def unit() -> Any:
        return Closing()

    class Closing:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *_error: object) -> None:
            log.append("closing")
            raise ConnectionError(SECRET)

    stream = pipeline(units=[unit]).stream(calling("ticks"))
    await anext(stream)
    with pytest.raises(Internal):
        await stream.aclose()
    assert log == ["closing"]


# -- under load --------------------------------------------------------------------------------


async def test_room_and_rows_are_right_after_calls_of_every_kind_at_once() -> None:
    one = pipeline(admission=Admission(max_in_flight=5, max_waiting=1000), units=[])
    calls = [
        calling("answer", value=1),
        calling("blocking_answer", value=1),
        calling("fails", how="not_found"),
        calling("answer", value="x"),
        calling("answer", Context.with_timeout(-1), value=1),
        calling("writes_and_waits", Soon(1e-3)),
    ]
    tasks = [asyncio.create_task(one.run(call)) for call in calls * 20]
    for number, task in enumerate(tasks):
        if number % 7 == 0:
            await asyncio.sleep(0)
            task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    kinds = {type(outcome).__name__ for outcome in outcomes}
    assert kinds >= {"NotFound", "ValidationFailed", "DeadlineExceeded", "CancelledError"}
    assert (one.admission.in_flight, one.admission.waiting) == (0, 0)
