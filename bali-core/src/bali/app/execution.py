"""Running source code piece by piece, with `await` at the top level."""

from __future__ import annotations

import ast
import asyncio
import codeop
import inspect
import linecache
import os
import select
import sys
import threading
import traceback
import types
from collections.abc import Coroutine
from typing import Any

from bali.concurrency import background_loop

__all__ = ["Execution", "await_here", "exit_code_of", "run_source", "told"]

#: What the module of the code is called; the standard library's prompt has the same.
_MODULE = "__console__"
_SOURCE = "<shell>"
_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it
_UNREAD = 141  # the same with SIGPIPE
#: A Ctrl-C that comes the moment before a wait, or to another thread, does not wake the waiting
#: thread: it is seen when the wait ends.
_LOOK_SECONDS = 1.0


class Execution:
    """Compiles and runs code among names that it can change."""

    def __init__(self, names: dict[str, Any]) -> None:
        names.setdefault("__name__", _MODULE)
        self.names = names
        #: Remembers what `from __future__ import ...` has switched on.
        self.compiler = codeop.Compile()
        self.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def run(self, code: types.CodeType) -> None:
        """Run code; wait for it when it awaits. Raises what it raises."""
        outcome = types.FunctionType(code, self.names)()
        if code.co_flags & inspect.CO_COROUTINE:
            await_here(outcome)


def await_here(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on the background loop while this thread waits, and return its result.

    Raises what it raises. Ctrl-C cancels it, waits for it to unwind and raises
    `KeyboardInterrupt`.
    """
    loop = background_loop()
    tasks: list[asyncio.Task[tuple[Any, BaseException | None]]] = []
    ended = threading.Event()

    def begin() -> None:
        if not tasks:  # who was interrupted meanwhile asks again
            tasks.append(loop.create_task(_outcome(coroutine)))
            tasks[0].add_done_callback(lambda _: ended.set())

    def cancel() -> None:
        begin()
        tasks[0].cancel()

    ask = begin
    while not ended.is_set():
        try:
            loop.call_soon_threadsafe(ask)
            while not ended.wait(_LOOK_SECONDS):
                pass
        except KeyboardInterrupt:
            ask = cancel
    [task] = tasks
    if ask is cancel and task.cancelled():
        coroutine.close()  # it may not have begun
        raise KeyboardInterrupt
    result, error = task.result()
    if error is not None:
        raise error
    return result


async def _outcome(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None]:
    """Return the result, or the error: `SystemExit` must not get out, it would end the loop."""
    try:
        return await coroutine, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
        return None, error


def run_source(source: str, names: dict[str, Any]) -> int:
    """Run a program among `names`, statement by statement, and return its exit code.

    What it raises is told on stderr as Python does, beginning with its own line, and is exit
    code 1. When nobody reads what it prints any more (`... | head -1`), it ends with 141.
    """
    lines = source.splitlines(keepends=True)
    linecache.cache[_SOURCE] = (len(source), None, lines, _SOURCE)
    execution = Execution(names)
    try:
        for statement in ast.parse(source, _SOURCE).body:
            module: Any = ast.Module([statement], type_ignores=[])
            execution.run(execution.compiler(module, _SOURCE, "exec"))
        sys.stdout.flush()
    except SystemExit as stop:
        return exit_code_of(stop)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BaseException as error:  # noqa: BLE001 - whatever the program raises
        if isinstance(error, BrokenPipeError) and _is_unread():
            return _UNREAD
        sys.stderr.write(told(error))
        return 1
    return 0


def _is_unread() -> bool:
    """Tell whether stdout's reader has gone; what is left to print is then dropped."""
    try:
        sys.stdout.flush()
        waiting = select.poll()
        waiting.register(sys.stdout.fileno(), 0)
        is_unread = any(event & select.POLLERR for _, event in waiting.poll(0))
    except BrokenPipeError:
        is_unread = True
    except ValueError:  # a stdout that is no file, or closed
        return False
    if is_unread:
        # As in the documentation of `signal.SIGPIPE`: the interpreter flushes again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return is_unread


def told(error: BaseException) -> str:
    """Return the traceback of what code of a shell raised, without the frames that ran it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__") != _MODULE:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def exit_code_of(stop: SystemExit) -> int:
    """Return the exit code that `exit(...)` asks for; what is no number is told, and is 1."""
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    sys.stderr.write(f"{stop.code}\n")
    return 1
