from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from bali.errors import ConfigurationError, PermissionDenied, Unauthenticated
from bali.resources import (
    AllowAny,
    BasePermission,
    Context,
    HasScope,
    IsAuthenticated,
    Permission,
    Principal,
)
from bali.resources.permissions import authorize, permissions_of, scopes_of

ANN = Principal(id="ann", scopes=frozenset({"read", "write"}))


class IsAnn(Permission):
    async def has_permission(self, context: Context) -> bool:
        return context.principal is not None and context.principal.id == "ann"


class Never(Permission):
    def has_permission(self, context: Context) -> bool:
        return False


class Asked(Permission):
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.count = 0

    def has_permission(self, context: Context) -> bool | Awaitable[bool]:
        self.count += 1
        return self.answer  # type: ignore[no-any-return]  # what the case says


async def allows(permission: Any, principal: Principal | None = ANN) -> bool:
    context = Context(principal=principal)
    try:
        await authorize(permissions_of([permission], where="here"), context)
    except (PermissionDenied, Unauthenticated):
        return False
    return True


@pytest.mark.parametrize(
    ("permission", "known", "anonymous"),
    [
        (AllowAny, True, True),
        (IsAuthenticated, True, False),
        (~IsAuthenticated, False, True),
        (~IsAuthenticated(), False, True),
        (IsAuthenticated & IsAnn, True, False),
        (IsAuthenticated() & IsAnn, True, False),
        (IsAuthenticated & IsAnn(), True, False),
        (IsAuthenticated & Never, False, False),
        (Never | IsAnn, True, False),
        (Never() | IsAnn, True, False),
        (Never | IsAnn(), True, False),
        (Never | Never, False, False),
        (Never | AllowAny, True, True),
        (IsAuthenticated & ~Never | AllowAny, True, True),
        (~(IsAuthenticated & IsAnn), False, True),
        (~(Never | Never()), True, True),
        (HasScope("read"), True, False),
        (HasScope("read", "write"), True, False),
        (HasScope("read", "admin"), False, False),
        (HasScope("admin") | HasScope("read"), True, False),
        (~HasScope("admin"), True, True),
    ],
)
async def test_verdicts(permission: Any, known: bool, anonymous: bool) -> None:
    assert await allows(permission) is known
    assert await allows(permission, None) is anonymous


async def test_every_permission_of_a_list_must_say_yes() -> None:
    both = permissions_of([IsAuthenticated, Never], where="here")
    with pytest.raises(PermissionDenied):
        await authorize(both, Context(principal=ANN))
    await authorize((), Context())


async def test_an_anonymous_caller_is_asked_for_credentials() -> None:
    with pytest.raises(Unauthenticated):
        await authorize((Never(),), Context())


@pytest.mark.parametrize("answer", [None, 0, "", []])
async def test_anything_but_yes_is_no(answer: Any) -> None:
    assert not await allows(Asked(answer))


async def test_composition_stops_as_soon_as_it_is_decided() -> None:
    no, yes, last = Asked(False), Asked(True), Asked(True)
    assert not await allows(no & last)
    assert await allows(yes | last)
    assert last.count == 0


async def test_an_error_of_a_permission_is_not_a_verdict() -> None:
    class Broken(Permission):
        async def has_permission(self, context: Context) -> bool:
            raise KeyError("no such role")

    with pytest.raises(KeyError):
        await authorize((~Broken(),), Context())


def test_a_permission_shows_how_it_is_composed() -> None:
    composed = IsAuthenticated & ~Never | HasScope("b", "a")
    assert repr(composed) == "((IsAuthenticated & ~Never) | HasScope('a', 'b'))"


def test_a_permission_class_is_still_a_type() -> None:
    optional = IsAuthenticated | None
    assert isinstance(None, optional)
    assert isinstance(IsAuthenticated(), optional)
    assert BasePermission is Permission


@pytest.mark.parametrize("declared", [IsAuthenticated, IsAuthenticated(), 7, ~IsAuthenticated])
def test_permission_classes_must_be_a_list(declared: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^here: permission_classes must be a list"):
        permissions_of(declared, where="here")


@pytest.mark.parametrize("item", ["IsAuthenticated", int, None, len])
def test_an_item_that_is_no_permission_is_refused(item: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^here: .* is not a permission"):
        permissions_of([item], where="here")


@pytest.mark.parametrize("other", ["x", 7, int])
def test_composing_with_something_else_is_refused(other: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not a permission"):
        _ = IsAuthenticated & other
    with pytest.raises(ConfigurationError, match="is not a permission"):
        _ = IsAuthenticated() | other


def test_a_class_that_needs_arguments_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^here: Asked cannot be used .*Asked\(\.\.\.\)"):
        permissions_of([Asked], where="here")


def test_a_permission_without_a_rule_is_refused() -> None:
    class Empty(Permission):
        pass

    with pytest.raises(ConfigurationError, match=r"has_permission\(self, context\)"):
        permissions_of([Empty], where="here")


def test_a_rule_of_another_signature_is_refused() -> None:
    class Foreign(Permission):
        def has_permission(self, request: Any, view: Any) -> bool:  # type: ignore[override]  # the case
            return True

    with pytest.raises(ConfigurationError, match=r"has_permission\(self, context\)"):
        permissions_of([Foreign], where="here")


def ways(*permissions: Permission | type[Permission]) -> set[frozenset[str] | None]:
    return set(scopes_of(permissions_of(permissions, where="here")))


def scopes(text: str) -> frozenset[str]:
    return frozenset(text.split())


def test_the_ways_to_be_let_in_are_known_for_a_description() -> None:
    assert ways() == {None}
    assert ways(AllowAny) == {None}
    assert ways(IsAuthenticated, AllowAny) == {scopes("")}
    assert ways(HasScope("a", "b")) == {scopes("a b")}
    assert ways(HasScope("a") & HasScope("b"), HasScope("c")) == {scopes("a b c")}
    assert ways((HasScope("a") | HasScope("b")) & HasScope("c")) == {scopes("a c"), scopes("b c")}
    assert ways(HasScope("a") | HasScope("a", "b")) == {scopes("a")}
    assert ways(IsAuthenticated | HasScope("a")) == {scopes("")}
    assert ways(AllowAny | HasScope("a")) == {None, scopes("a")}
    assert ways(~HasScope("a")) == {scopes("")}


def test_a_rule_with_very_many_ways_is_told_as_one() -> None:
    pairs = [HasScope(f"a{number}") | HasScope(f"b{number}") for number in range(40)]
    assert ways(*pairs) == {scopes("")}
