"""What a hand-written servicer may mix in to do something around each of its calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import aclosing, closing
from typing import Any, ClassVar

from bali.database import Database
from bali.database import db as default_database

__all__ = ["ServiceMixin"]


class ServiceMixin:
    """Calls `setup` before and `teardown` after each gRPC method that the class defines.

    `class UserService(user_pb2_grpc.UserServiceServicer, ServiceMixin)`: its methods are those
    whose names begin with a capital letter, plain or `async def`, with one answer or a stream.
    Sessions need no care: each call of a resource or a manager is a unit of work of its own.
    """

    #: The default database.
    db: ClassVar[Database] = default_database

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in list(vars(cls).items()):
            if name[:1].isupper() and inspect.isfunction(value):
                setattr(cls, name, _surrounded(value))

    def setup(self) -> None:
        """Do nothing; override it for what has to happen before a call."""

    def teardown(self) -> None:
        """Do nothing; override it for what has to happen after a call, failed or not."""


def _surrounded(method: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(method):
        return _async_stream(method)
    if inspect.isgeneratorfunction(method):
        return _stream(method)
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def answer(self: ServiceMixin, *args: Any) -> Any:
            self.setup()
            try:
                return await method(self, *args)
            finally:
                self.teardown()

        return answer

    @functools.wraps(method)
    def answer_plainly(self: ServiceMixin, *args: Any) -> Any:
        self.setup()
        try:
            return method(self, *args)
        finally:
            self.teardown()

    return answer_plainly


def _stream(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def stream(self: ServiceMixin, *args: Any) -> Any:
        self.setup()
        try:
            with closing(method(self, *args)) as items:
                yield from items
        finally:
            self.teardown()

    return stream


def _async_stream(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def stream(self: ServiceMixin, *args: Any) -> Any:
        self.setup()
        try:
            async with aclosing(method(self, *args)) as items:
                async for item in items:
                    yield item
        finally:
            self.teardown()

    return stream
