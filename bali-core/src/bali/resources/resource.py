"""Resource: the operations that a service offers to others."""

from __future__ import annotations

import builtins
import importlib
import inspect
from abc import ABCMeta
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, cast

from pydantic import BaseModel

from bali.concurrency import run_in_thread
from bali.errors import ConfigurationError, Unimplemented
from bali.resources.action import action, action_options, options_in, place_of
from bali.resources.batches import Change
from bali.resources.changes import changes_of, values_of
from bali.resources.context import Context, Principal
from bali.resources.naming import kebab, pluralise, snake
from bali.resources.nesting import seen_store
from bali.resources.permissions import PermissionLike
from bali.resources.requests import ListRequest
from bali.resources.servicer import ServicerResource
from bali.resources.store import ContractStore, Page, Store, Stored

__all__ = ["EXTRA_ACTIONS", "STANDARD_ACTIONS", "ModelResource", "Resource", "do", "has_own"]

STANDARD_ACTIONS = ("list", "get", "create", "update", "delete")
#: What the base class offers besides, where the model or the resource says so.
EXTRA_ACTIONS = ("undelete", "batch_get", "batch_create", "batch_update", "batch_delete")


class _Namespace(dict[str, Any]):
    """The body of a resource class while it is read: refuses a second action of one name."""

    def __setitem__(self, name: str, value: Any) -> None:
        former = self.get(name)
        if former is not None and action_options(former) and action_options(value):
            raise ConfigurationError(
                f"two actions are named {name!r}: {place_of(former)} and {place_of(value)}; "
                "rename one of them"
            )
        super().__setitem__(name, value)


class ResourceType(ABCMeta):
    """The type of resource classes."""

    @classmethod
    def __prepare__(cls, *_args: Any, **_kwargs: Any) -> dict[str, object]:
        """Return the mapping that the class body fills."""
        return _Namespace()

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make an object for one call.

        With a gRPC request, its context and a response message type, as a hand-written servicer
        does it, the result is bound to them: its actions take no arguments.
        """
        response = args[2] if len(args) > 2 else kwargs.get("response_message")  # noqa: PLR2004
        if response is None:
            return super().__call__(*args, **kwargs)
        request = args[0] if args else kwargs.get("request")
        context = args[1] if len(args) > 1 else kwargs.get("context")
        return ServicerResource(cls, request, context, response)


class Resource(metaclass=ResourceType):
    """A set of operations on one kind of thing. An object of it serves exactly one call.

    Set `schema` (and `model`, or a schema made by `model_to_schema`) to get `list`, `get`,
    `create`, `update` and `delete`; add methods marked with `@action`. A standard action is
    changed by overriding it and calling `super()`.
    """

    #: The singular name, "user"; derived from `UserResource` when absent.
    name: ClassVar[str | None] = None
    #: The plural, "users"; derived when absent.
    plural: ClassVar[str | None] = None
    #: The HTTP path below the root, "users"; the plural when absent.
    http_endpoint: ClassVar[str | None] = None
    #: The resource to one of whose items these belong: they live at `/users/{user_id}/orders`.
    parent: ClassVar[type[Resource] | None] = None
    #: The attribute of the model that refers to the parent; found when there is one alone.
    parent_key: ClassVar[str | None] = None
    #: What callers may `expand` in an item: relations of the model, and whose items they lead to.
    expandable: ClassVar[Mapping[str, type[Resource]]] = MappingProxyType({})
    #: The pydantic model of one item.
    schema: ClassVar[type[BaseModel] | None] = None
    #: The database model, for the standard actions.
    model: ClassVar[Any] = None
    #: Filters of list: "username", "age__gte". A mapping names some too, `{"username": str}`; their
    #: types are those of the columns.
    filters: ClassVar[Sequence[str | Mapping[str, Any]]] = ()
    #: The fields that `filter` of a list may name (AIP-160), as callers write them; all that a
    #: caller sees when absent.
    filter_fields: ClassVar[Sequence[str] | None] = None
    #: Functions that `filter` may call: of their arguments, a condition or a value to compare with.
    filter_functions: ClassVar[Mapping[str, Callable[..., Any]]] = MappingProxyType({})
    #: Rules that every call must satisfy, on every protocol.
    permission_classes: ClassVar[Sequence[PermissionLike]] = ()
    #: Which of the standard actions are offered; all when absent.
    actions: ClassVar[Sequence[str] | None] = None
    #: Whether there is a batch of each standard action that is offered (AIP-231 to 235).
    batch: ClassVar[bool] = False
    #: Items per page when the caller does not say; None for 50.
    page_size: ClassVar[int | None] = None

    def __init__(
        self, request: Any = None, context: Any = None, response_message: Any = None
    ) -> None:
        # A response message is what `ResourceType` answers to; no object is made with one.
        del response_message
        self.request = request
        self.context = context if context is not None else Context()

    @property
    def auth(self) -> Principal | None:
        """Who is calling, None for an anonymous caller."""
        return self.context.principal

    @property
    def store(self) -> Store:
        """Where the model lives."""
        store = type(self).find_store()
        if store is None:
            raise Unimplemented(
                f"{type(self).__name__} has no model: set `model`, or write the action"
            )
        return seen_store(self, store, show_deleted=self.context.show_deleted)

    def visible_to(self, principal: Principal | None) -> Any:
        """Return which items a caller may see: a condition of the database, True for all.

        As in `return Order.user_id == principal.id`. It holds for every action of the base class
        and for whatever else goes through `self.store`: what it leaves out is not found, listed or
        changed, and nothing can be made so. `principal` is None for an anonymous caller.
        """
        del principal
        return True

    @classmethod
    def limits_sight(cls) -> bool:
        """Tell whether the class says which items a caller may see."""
        return cls.visible_to is not Resource.visible_to

    @classmethod
    def find_store(cls) -> Store | None:
        """Return where the model lives, None for a resource without one."""
        model = cls.model if cls.model is not None else getattr(cls.schema, "__model__", None)
        return model.__store__ if isinstance(model, Stored) else None

    @classmethod
    def singular_name(cls) -> str:
        """Return the name of one item, "order_item"."""
        if cls.name:
            return snake(cls.name)
        stem = cls.__name__
        for suffix in ("ModelResource", "Resource"):
            if stem.endswith(suffix) and stem != suffix:
                stem = stem.removesuffix(suffix)
                break
        return snake(stem)

    @classmethod
    def plural_name(cls) -> str:
        """Return the name of many items, "order_items"."""
        return snake(cls.plural) if cls.plural else pluralise(cls.singular_name())

    @classmethod
    def endpoint(cls) -> str:
        """Return the HTTP path of the collection, "/order-items"."""
        return "/" + (cls.http_endpoint or kebab(cls.plural_name())).strip("/")

    @classmethod
    def as_router(cls) -> Any:
        """Return a FastAPI router with the operations, at paths relative to the resource.

        Include it with a prefix, `Bali(routers=[{"router": router, "prefix": "/users"}])`. A route
        that is added to it, `@router.get("/{id}")`, takes the place of the operation there. Raises
        `ConfigurationError` for a resource that cannot be served as written.
        """
        # By its name, since resources load no web library; who asks for a router has one.
        return importlib.import_module("bali.rest").own_router(cls)

    @classmethod
    def as_servicer(cls, app: Any) -> None:
        """Offer the resource in `app` over gRPC alone; see `Bali.register`."""
        app.register(cls, with_http=False)

    @classmethod
    def action_name(cls, name: str) -> str | None:
        """Return the action that a method name means, None when it is none.

        The names of the first bali are known: `get_users` is `list`, `get_user` is `get`, and
        `create_user`, `update_user`, `delete_user` are what they say.
        """
        if options_in(cls, name):
            return name
        return cls.former_names().get(name)

    @classmethod
    def former_names(cls) -> Mapping[str, str]:
        """Return the names that the first bali gave to the standard actions."""
        singular, plural = cls.singular_name(), cls.plural_name()
        return {
            f"list_{plural}": "list",
            f"get_{singular}": "get",
            f"get_{plural}": "list",
            **{f"{verb}_{singular}": verb for verb in ("create", "update", "delete")},
        }

    def __getattr__(self, name: str) -> Any:
        standard = None if name.startswith("_") else type(self).former_names().get(name)
        if standard is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self, standard)

    @action(methods=["get"])
    async def list(self, schema_in: ListRequest) -> Page[Any]:
        """Return one page of items."""
        return await self.store.list(schema_in.query())

    @action(detail=True, methods=["get"])
    async def get(self, pk: Any) -> Any:
        """Return one item."""
        return await self.store.get(pk)

    @action(methods=["post"])
    async def create(self, schema_in: Any) -> Any:
        """Store a new item and return it."""
        return await self.store.create(values_of(schema_in, with_defaults=True))

    @action(detail=True, methods=["patch"])
    async def update(self, pk: Any, schema_in: Any) -> Any:
        """Change the given fields of an item and return it."""
        return await self.store.update(pk, _changes(schema_in))

    @action(detail=True, methods=["delete"])
    async def delete(self, pk: Any) -> None:
        """Remove an item."""
        await self.store.delete(pk)

    @action(detail=True, methods=["post"])
    async def undelete(self, pk: Any) -> Any:
        """Take back the deletion of an item and return it."""
        return await self.contract_store.undelete(pk)

    @action()
    async def batch_get(self, ids: Sequence[Any]) -> Any:
        """Return the items with these keys, in this order."""
        if has_own(type(self), "get"):
            return [await do(self, "get", key) for key in ids]
        return await self.contract_store.get_many(ids)

    @action(methods=["post"])
    async def batch_create(self, items: Sequence[Any]) -> Any:
        """Store new items and return them, in this order: all or none."""
        if has_own(type(self), "create"):
            return [await do(self, "create", item) for item in items]
        values = [values_of(item, with_defaults=True) for item in items]
        return await self.contract_store.create_many(values)

    @action(methods=["post"])
    async def batch_update(self, changes: Sequence[Change]) -> Any:
        """Change the given fields of items and return them, in this order: all or none."""
        if has_own(type(self), "update"):
            return [await do(self, "update", change.key, change.values) for change in changes]
        return await self.contract_store.update_many(
            [
                (change.key, _changes(change.values, f"requests[{number}]."))
                for number, change in enumerate(changes)
            ]
        )

    @action(methods=["post"])
    async def batch_delete(self, ids: Sequence[Any]) -> None:
        """Remove the items with these keys: all or none."""
        keys = builtins.list(dict.fromkeys(ids))
        if not has_own(type(self), "delete"):
            await self.contract_store.delete_many(keys)
            return
        for key in keys:
            await do(self, "delete", key)

    @property
    def contract_store(self) -> ContractStore:
        """The store, of a kind that can do more than the five standard actions."""
        store: Any = self.store
        return cast("ContractStore", store)


class ModelResource(Resource):
    """A resource over a database model: set `model`; the schema follows from it."""


def has_own(resource: type[Resource], name: str) -> bool:
    """Tell whether a class does a standard action in a way of its own."""
    own = inspect.getattr_static(resource, name)
    return own is not inspect.getattr_static(Resource, name)


async def do(resource: Resource, name: str, *arguments: Any) -> Any:
    """Return what an action of a resource returns, be it sync or async."""
    method = getattr(resource, name)
    if inspect.iscoroutinefunction(method):
        return await method(*arguments)
    value = await run_in_thread(method, *arguments)
    return await value if inspect.isawaitable(value) else value


def _changes(item: BaseModel, place: str = "") -> Mapping[str, Any]:
    return changes_of(item, values_of(item), place=place)
