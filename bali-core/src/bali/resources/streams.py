"""The items of a stream, from a generator of either kind."""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping
from typing import Any

from bali.concurrency import run_in_thread
from bali.resources.spec import ActionSpec

__all__ = ["items_of"]

_END = object()


async def items_of(
    spec: ActionSpec, resource: Any, keywords: Mapping[str, Any]
) -> AsyncGenerator[Any, None]:
    """Yield what a streaming action yields; blocking code runs in worker threads.

    Closing it closes the action's own generator.
    """
    method = getattr(resource, spec.function_name)
    source = method(**keywords) if spec.is_async else await run_in_thread(method, **keywords)
    if inspect.isawaitable(source):
        source = await source
    is_async = isinstance(source, AsyncIterable)
    iterator = aiter(source) if is_async else _in_threads(_Blocking(iter(source)))
    try:
        async for value in iterator:
            yield value
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


class _Blocking:
    """An iterator whose steps run in worker threads, one at a time.

    It is closed once no step is under way: a step that a cancelled call left behind closes it.
    """

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._is_busy = False
        self._is_over = False

    def step(self) -> Any:
        """Return the next item, `_END` after the last."""
        if self._enter():
            return _END
        try:
            return next(self._source, _END)
        finally:
            if self._leave():
                self._finish()

    def close(self) -> None:
        """Close the iterator now, or when the step under way has ended."""
        with self._lock:
            self._is_over = True
            is_busy = self._is_busy
        if not is_busy:
            self._finish()

    def _enter(self) -> bool:
        with self._lock:
            self._is_busy = not self._is_over
            return self._is_over

    def _leave(self) -> bool:
        with self._lock:
            self._is_busy = False
            return self._is_over

    def _finish(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


async def _in_threads(source: _Blocking) -> AsyncGenerator[Any, None]:
    try:
        while (value := await run_in_thread(source.step)) is not _END:
            yield value
    finally:
        await run_in_thread(source.close)
