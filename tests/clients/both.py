"""An async client called as a sync one is, so that one test holds for both."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self

from bali.concurrency import background_loop


class Blocking:
    """Runs the methods of an async client on the background loop of the process."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._loop = background_loop()
        self._client = self._run(_made(make))

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._client, name)
        if not callable(target):
            return target

        def call(*arguments: Any, **options: Any) -> Any:
            outcome = self._run(_called(target, arguments, options))
            if isinstance(outcome, AsyncIterator):
                return self._items(outcome)
            return outcome

        return call

    def _items(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            self._run(items.aclose())  # type: ignore[attr-defined]  # they are generators

    def _run(self, awaitable: Any) -> Any:
        # A task made here sees the context variables of the test, as a task of a service would.
        context = contextvars.copy_context()

        async def start() -> Any:
            return await asyncio.get_running_loop().create_task(awaitable, context=context)

        return asyncio.run_coroutine_threadsafe(start(), self._loop).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._client.aclose())


async def _made(make: Callable[[], Any]) -> Any:
    return make()


async def _called(target: Any, arguments: Any, options: Any) -> Any:
    outcome = target(*arguments, **options)
    return await outcome if inspect.isawaitable(outcome) else outcome


_END = object()


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items)
