from __future__ import annotations

import functools
from typing import Any

import pytest

from bali.errors import ConfigurationError
from bali.resources import IsAuthenticated, Resource, action
from bali.resources.action import ActionOptions, action_options, options_in, place_of


def test_an_action_is_only_annotated() -> None:
    def method(self: Any) -> None:
        """Do something."""

    assert action(detail=True)(method) is method
    assert action(method) is method


def test_what_an_action_is_told_is_kept() -> None:
    @action(
        detail=True,
        methods=["post", "PUT", "post"],
        rpc_name="MoveIt",
        permission_classes=[IsAuthenticated],
        path="move-it",
        tags=["moving"],
    )
    def method(self: Any, pk: int) -> None: ...

    options = action_options(method)
    assert options == ActionOptions(
        detail=True,
        methods=("POST", "PUT"),
        rpc_name="MoveIt",
        permission_classes=[IsAuthenticated],
        path="move-it",
        tags=("moving",),
    )


def test_an_action_without_options_is_a_get() -> None:
    @action
    def bare(self: Any) -> None: ...

    @action()
    def called(self: Any) -> None: ...

    assert action_options(bare) == action_options(called) == ActionOptions()
    assert action_options(print) is None
    assert action_options(None) is None


def test_one_method_may_be_a_string() -> None:
    @action(methods="delete")
    def method(self: Any) -> None: ...

    assert action_options(method) == ActionOptions(methods=("DELETE",))


@pytest.mark.parametrize("methods", [["HEAD"], ["get", "trace"], []])
def test_other_http_methods_are_refused(methods: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"test_action.*HTTP method .* is not possible"):

        @action(methods=methods)
        def method(self: Any) -> None: ...


def test_no_protocol_left_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"method \(.*test_action.py:\d+\): http_only and"):

        @action(http_only=True, rpc_only=True)
        def method(self: Any) -> None: ...


@pytest.mark.parametrize("path", ["", "/x", "x/", "a b", "{id}", "a?b", "a//b", "ä"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the end of a URL path"):

        @action(path=path)
        def method(self: Any) -> None: ...


@pytest.mark.parametrize("path", ["x", "a/b", "v1.2~x_y-z"])
def test_a_path_of_plain_segments_is_taken(path: str) -> None:
    @action(path=path)
    def method(self: Any) -> None: ...

    options = action_options(method)
    assert options is not None
    assert options.path == path


@pytest.mark.parametrize("wrapper", [staticmethod, classmethod, property])
def test_what_is_no_method_is_refused(wrapper: Any) -> None:
    def method(self: Any) -> None: ...

    with pytest.raises(ConfigurationError, match=f"a plain method, found {wrapper.__name__}"):
        action(wrapper(method))


def test_a_cached_method_is_an_action() -> None:
    @action()
    @functools.lru_cache
    def method(self: Any) -> None: ...

    assert action_options(method) == ActionOptions()


class Base(Resource):
    @action(methods=["post"], permission_classes=[IsAuthenticated])
    def kept(self) -> None: ...

    @action()
    def dropped(self) -> None: ...

    @action()
    def changed(self) -> None: ...

    def plain(self) -> None: ...


class Derived(Base):
    def kept(self) -> None: ...

    dropped = None  # type: ignore[assignment]  # takes the action away

    @action(methods=["delete"])
    def changed(self) -> None: ...


def test_an_override_is_the_same_action() -> None:
    assert options_in(Derived, "kept") == options_in(Base, "kept")
    assert options_in(Derived, "dropped") is None
    assert options_in(Derived, "changed") == ActionOptions(methods=("DELETE",))
    assert options_in(Derived, "plain") is None
    assert options_in(Derived, "absent") is None


def test_places_name_file_and_line() -> None:
    line = test_places_name_file_and_line.__code__.co_firstlineno
    assert place_of(test_places_name_file_and_line).endswith(
        f"test_action.test_places_name_file_and_line ({__file__}:{line})"
    )
    assert place_of(Base).split(":")[0].endswith(f"test_action.Base ({__file__}")
    assert place_of(len) == "builtins.len"
    assert place_of(7) == "?.7"
