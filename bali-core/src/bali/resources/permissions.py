"""Who may do what: permission classes, enforced by the pipeline on every protocol.

```python
class UserResource(ModelResource):
    permission_classes = [IsAuthenticated & ~IsSuspended | HasScope("users.read")]
```
"""

from __future__ import annotations

import inspect
from abc import ABCMeta, abstractmethod
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

from bali.errors import ConfigurationError, PermissionDenied, Unauthenticated

if TYPE_CHECKING:
    from bali.resources.context import Context

__all__ = [
    "AllowAny",
    "BasePermission",
    "HasScope",
    "IsAuthenticated",
    "Permission",
    "PermissionLike",
    "allows_object",
    "authorize",
    "checks_objects",
    "permissions_of",
    "scopes_of",
]

#: More ways to be let in than this are told as one, without scopes.
_MAX_WAYS = 16
#: A set of scopes; None where no credentials are needed.
_Way: TypeAlias = Union[frozenset[str], None]  # noqa: UP007 - beside the alias above


class _Composable:
    """Gives `& | ~` to permission classes and to their instances alike."""

    def __and__(self, other: Any) -> Permission:
        return _All(_instance(self), _instance(other))

    def __or__(self, other: Any) -> Permission:
        return _Any(_instance(self), _instance(other))

    def __invert__(self) -> Permission:
        return _Not(_instance(self))


class _PermissionType(_Composable, ABCMeta):
    """The type of permission classes.

    `A | B` on two classes is a permission; `A | None` is still a type.
    """

    def __or__(cls, other: Any) -> Any:
        if isinstance(other, (Permission, _PermissionType)):
            return _Any(_instance(cls), _instance(other))
        return type.__or__(cls, other)


class Permission(_Composable, metaclass=_PermissionType):
    """A rule about a call. Subclass it and write `has_permission`, sync or async."""

    @abstractmethod
    def has_permission(self, context: Context) -> bool | Awaitable[bool]:
        """Tell whether the call may go on; `context.principal` is None for an anonymous caller."""

    def has_object_permission(self, context: Context, item: Any) -> bool | Awaitable[bool]:
        """Tell whether the call may go on with an item of the database, once it is known.

        Asked for each item that a call names by its key, alone or in a batch, after
        `has_permission` has agreed. What a list returns is the business of `visible_to`.
        """
        del context, item
        return True


#: The name that the first bali and Django REST framework use.
BasePermission = Permission
PermissionLike: TypeAlias = Union[Permission, type[Permission]]  # noqa: UP007 - `|` composes


class AllowAny(Permission):
    """Everybody, also without credentials: marks an operation as public."""

    def has_permission(self, context: Context) -> bool:
        """Return True."""
        del context
        return True


class IsAuthenticated(Permission):
    """Whoever has proved who they are."""

    def has_permission(self, context: Context) -> bool:
        """Tell whether the call has a principal."""
        return context.principal is not None


class HasScope(Permission):
    """Callers who were granted every one of these scopes (RFC 6749 section 3.3)."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = frozenset(scopes)

    def has_permission(self, context: Context) -> bool:
        """Tell whether the principal has all the scopes."""
        return context.principal is not None and self.scopes <= context.principal.scopes

    def __repr__(self) -> str:
        return f"HasScope({', '.join(map(repr, sorted(self.scopes)))})"


class _All(Permission):
    def __init__(self, *parts: Permission) -> None:
        self.parts = parts

    async def has_permission(self, context: Context) -> bool:
        for part in self.parts:
            if not await _verdict(part, context):
                return False
        return True

    async def has_object_permission(self, context: Context, item: Any) -> bool:
        for part in self.parts:
            if not await allows_object(part, context, item):
                return False
        return True

    def __repr__(self) -> str:
        return f"({' & '.join(map(_name, self.parts))})"


class _Any(Permission):
    def __init__(self, *parts: Permission) -> None:
        self.parts = parts

    async def has_permission(self, context: Context) -> bool:
        for part in self.parts:
            if await _verdict(part, context):
                return True
        return False

    async def has_object_permission(self, context: Context, item: Any) -> bool:
        for part in self.parts:
            if await _agrees(part, context, item):
                return True
        return False

    def __repr__(self) -> str:
        return f"({' | '.join(map(_name, self.parts))})"


class _Not(Permission):
    def __init__(self, part: Permission) -> None:
        self.part = part

    async def has_permission(self, context: Context) -> bool:
        # A rule about items has the last word when the item is known.
        return checks_objects((self.part,)) or not await _verdict(self.part, context)

    async def has_object_permission(self, context: Context, item: Any) -> bool:
        return not await _agrees(self.part, context, item)

    def __repr__(self) -> str:
        return f"~{_name(self.part)}"


def permissions_of(declared: Iterable[PermissionLike], *, where: str) -> tuple[Permission, ...]:
    """Return instances of the declared permissions; `where` names the declaration in an error."""
    if isinstance(declared, (Permission, type)) or not isinstance(declared, Iterable):
        raise ConfigurationError(
            f"{where}: permission_classes must be a list of permissions, found {declared!r}; "
            f"write permission_classes = [...]"
        )
    return tuple(_instance(item, where) for item in declared)


async def authorize(permissions: tuple[Permission, ...], context: Context) -> None:
    """Return when every permission says yes.

    Raises `Unauthenticated` for an anonymous caller and `PermissionDenied` for a known one.
    """
    for permission in permissions:
        if not await _verdict(permission, context):
            refusal = Unauthenticated if context.principal is None else PermissionDenied
            raise refusal


def checks_objects(permissions: Iterable[Permission]) -> bool:
    """Tell whether any of the permissions has a rule about items (`has_object_permission`)."""
    for permission in permissions:
        if isinstance(permission, (_All, _Any, _Not)):
            parts = (permission.part,) if isinstance(permission, _Not) else permission.parts
            if checks_objects(parts):
                return True
        elif type(permission).has_object_permission is not Permission.has_object_permission:
            return True
    return False


async def allows_object(permission: Permission, context: Context, item: Any) -> bool:
    """Return what a permission says of an item."""
    verdict = permission.has_object_permission(context, item)
    if inspect.isawaitable(verdict):
        verdict = await verdict
    return bool(verdict)


def scopes_of(permissions: Iterable[Permission]) -> tuple[frozenset[str] | None, ...]:
    """Return the ways to be let in, for a description of the service.

    Each is the set of scopes that a caller needs, empty for one who only has to be known, and None
    where nobody has to be. A rule that is no `HasScope` adds none: what it asks for is not known.
    """
    return _fewest(_ways(_All(*permissions)))


def _ways(permission: Permission) -> list[_Way]:
    if isinstance(permission, AllowAny):
        return [None]
    if isinstance(permission, HasScope):
        return [permission.scopes]
    if isinstance(permission, _Any):
        return list(_fewest(way for part in permission.parts for way in _ways(part)))
    if isinstance(permission, _All):
        ways: list[_Way] = [None]
        for part in permission.parts:
            ways = list(_fewest(_joined(one, other) for one in ways for other in _ways(part)))
        return ways
    return [frozenset()]


def _joined(one: _Way, other: _Way) -> _Way:
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _fewest(ways: Iterable[_Way]) -> tuple[_Way, ...]:
    """Leave out the ways that ask for more than another does."""
    every = tuple(dict.fromkeys(ways))
    known = [way for way in every if way is not None]
    if len(known) > _MAX_WAYS:
        return (*(way for way in every if way is None), frozenset())
    return tuple(way for way in every if way is None or not any(other < way for other in known))


async def _agrees(permission: Permission, context: Context, item: Any) -> bool:
    return await _verdict(permission, context) and await allows_object(permission, context, item)


async def _verdict(permission: Permission, context: Context) -> bool:
    verdict = permission.has_permission(context)
    if inspect.isawaitable(verdict):
        verdict = await verdict
    return bool(verdict)


def _instance(item: Any, where: str = "a permission expression") -> Permission:
    if isinstance(item, Permission):
        return item
    if isinstance(item, _PermissionType):
        return _made(item, where)
    raise ConfigurationError(
        f"{where}: {item!r} is not a permission; use a subclass of bali.Permission"
    )


def _made(cls: _PermissionType, where: str) -> Permission:
    try:
        permission = cast("Permission", cls())
        inspect.signature(permission.has_permission).bind(None)
    except TypeError as error:
        raise ConfigurationError(
            f"{where}: {cls.__name__} cannot be used as a permission ({error}); it needs a method "
            "`has_permission(self, context)`, and what its constructor needs must be given, as in "
            f"`{cls.__name__}(...)`"
        ) from error
    return permission


def _name(permission: Permission) -> str:
    shown = repr(permission)
    return type(permission).__name__ if shown.startswith("<") else shown
