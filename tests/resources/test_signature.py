# ruff: noqa: ANN001, ANN201 - untyped methods, as users of the first bali write them
from __future__ import annotations

import functools
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from bali.errors import ConfigurationError
from bali.resources.signature import MISSING, Argument, read_signature
from tests.resources.samples import Item

if TYPE_CHECKING:
    from decimal import Decimal


class Methods:
    """One method for each form of signature."""

    list = None  # shadows the builtin, as the standard action does

    def nothing(self): ...  # type: ignore[no-untyped-def]  # the case

    def everything(self, pk: int, schema_in: Item, start: int = 0, *, end: str) -> Item: ...  # type: ignore[empty-body]

    def untyped(self, pk, schema_in): ...  # type: ignore[no-untyped-def]  # the case

    def named_body(self, item: Item) -> None: ...

    def key_called_id(self, id: str) -> None: ...  # noqa: A002 - the case

    async def coroutine(self) -> int: ...  # type: ignore[empty-body]

    def generator(self) -> Iterator[int]:
        yield 1

    def generator_with_send(self) -> Generator[int, None, None]:
        yield 1

    def untyped_generator(self):  # type: ignore[no-untyped-def]  # the case
        yield 1

    async def async_generator(self) -> AsyncIterator[int]:
        yield 1

    async def async_generator_with_send(self) -> AsyncGenerator[int, None]:
        yield 1

    async def returns_iterator(self) -> AsyncIterator[int]:
        return self.async_generator()

    async def bare_iterator(self) -> AsyncIterator:  # type: ignore[type-arg]  # the case
        yield 1

    async def bare_typing_iterator(self) -> typing.AsyncIterator:  # type: ignore[type-arg]
        yield 1

    def several(self, *names: str) -> None: ...

    def anything(self, **names: str) -> None: ...

    def positional(self, start: int, /) -> None: ...

    def two_keys(self, pk: int, id: int) -> None: ...  # noqa: A002 - the case

    def two_bodies(self, schema_in: Item, other: Item) -> None: ...

    def no_type(self, start) -> None: ...  # type: ignore[no-untyped-def]  # the case

    def no_self() -> None: ...  # type: ignore[misc]  # the case

    def unknown_type(self, amount: Decimal) -> None: ...

    def no_such_attribute(self, amount: typing.Nothing) -> None: ...  # type: ignore[name-defined]  # the case

    def no_expression(self, amount: "in t") -> None: ...  # type: ignore[valid-type]  # noqa: F722 - the case

    def not_generic(self, amount: Methods.list[int]) -> None: ...  # type: ignore[valid-type]  # the case


def read(name: str) -> Any:
    return read_signature(getattr(Methods, name), where="here")


def test_a_method_may_take_nothing() -> None:
    signature = read("nothing")
    assert (signature.key, signature.body, signature.scalars) == (None, None, ())
    assert signature.returns is MISSING
    assert (signature.is_async, signature.is_streaming) == (False, False)


def test_each_parameter_has_its_part() -> None:
    signature = read("everything")
    assert signature.key == Argument(name="pk", annotation=int)
    assert signature.body == Argument(name="schema_in", annotation=Item)
    assert signature.scalars == (
        Argument(name="start", annotation=int, default=0),
        Argument(name="end", annotation=str),
    )
    assert signature.returns is Item


def test_key_and_body_need_no_type() -> None:
    signature = read("untyped")
    assert signature.key == Argument(name="pk", annotation=MISSING)
    assert signature.body == Argument(name="schema_in", annotation=MISSING)


def test_a_model_is_the_body_whatever_its_name() -> None:
    assert read("named_body").body == Argument(name="item", annotation=Item)


def test_the_key_may_be_called_id() -> None:
    assert read("key_called_id").key == Argument(name="id", annotation=str)


@pytest.mark.parametrize(
    ("name", "is_async", "is_streaming", "returns"),
    [
        ("coroutine", True, False, int),
        ("generator", False, True, int),
        ("generator_with_send", False, True, int),
        ("untyped_generator", False, True, MISSING),
        ("async_generator", True, True, int),
        ("async_generator_with_send", True, True, int),
        ("returns_iterator", True, True, int),
        ("bare_iterator", True, True, MISSING),
        ("bare_typing_iterator", True, True, MISSING),
    ],
)
def test_kinds_of_methods(name: str, is_async: bool, is_streaming: bool, returns: Any) -> None:
    signature = read(name)
    assert (signature.is_async, signature.is_streaming) == (is_async, is_streaming)
    assert signature.returns is returns


def test_a_decorated_method_keeps_its_signature() -> None:
    def traced(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    signature = read_signature(traced(Methods.everything), where="here")
    assert signature.body == Argument(name="schema_in", annotation=Item)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("several", r"\*names: .*has no form in a request"),
        ("anything", r"\*\*names: .*has no form in a request"),
        ("positional", "'start' is positional-only"),
        ("two_keys", "both 'pk' and 'id' are the key"),
        ("two_bodies", "both 'schema_in' and 'other' are bodies"),
        ("no_type", "parameter 'start' has no type; annotate it, as in `start: int`"),
        ("no_self", "its first parameter is `self`"),
        ("unknown_type", "the type 'Decimal' is not known .*outside `if TYPE_CHECKING`"),
        ("no_such_attribute", "cannot be evaluated .*Nothing"),
        ("no_expression", "cannot be evaluated"),
        ("not_generic", r"cannot be evaluated .*write `builtins\.list`"),
    ],
)
def test_what_cannot_be_served_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^here: .*{message}"):
        read(name)
