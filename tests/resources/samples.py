"""A store in memory with units of work, and short ways to call an action."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any

import pytest
from pydantic import BaseModel, Field

from bali.errors import BaliError, ConfigurationError, NotFound
from bali.resources import (
    ActionSpec,
    Call,
    Changes,
    Collector,
    Context,
    ListQuery,
    ModelResource,
    Page,
    Pipeline,
    Resource,
)
from bali.resources.filter import matches


class Item(BaseModel):
    """Something with a key."""

    id: int = Field(json_schema_extra={"readOnly": True})
    name: str
    size: int | None = None


class MemoryStore:
    """Keeps rows in a dict; its units put back what it held when they fail."""

    key_name = "id"
    key_type = int

    def __init__(self, schema: type[BaseModel] = Item) -> None:
        self._schema = schema
        self.rows: dict[int, dict[str, Any]] = {}
        self.log: list[str] = []
        self.queries: list[ListQuery] = []
        self.written: list[dict[str, Any]] = []
        self.filters: dict[str, Any] = {"name": str, "size__gte": int, "name__in": list[str]}

    def schema(self) -> type[BaseModel]:
        return self._schema

    def filter_types(self, declared: Sequence[str], *, where: str) -> Mapping[str, Any]:
        unknown = [name for name in declared if name not in self.filters]
        if unknown:
            raise ConfigurationError(f"{where}: {unknown[0]!r} is no filter")
        return {name: self.filters[name] for name in declared}

    def filterable(self) -> Mapping[str, Any]:
        return {name: info.annotation for name, info in self._schema.model_fields.items()}

    def unit(self) -> AbstractAsyncContextManager[Any]:
        return MemoryUnit(self)

    async def list(self, query: ListQuery) -> Page[Any]:
        self.queries.append(query)
        rows = [row for row in self.rows.values() if matches(query.condition, row)]
        page = rows[query.skip :][: query.page_size]
        return Page(items=page, total=len(rows) if query.with_total else None)

    async def get(self, key: Any) -> Any:
        if key not in self.rows:
            raise NotFound(resource_type="item", resource_name=str(key))
        return self.rows[key]

    async def create(self, values: Mapping[str, Any]) -> Any:
        self.written.append(dict(values))
        key = len(self.rows) + 1
        self.rows[key] = {"id": key, **values}
        return self.rows[key]

    async def update(self, key: Any, values: Mapping[str, Any]) -> Any:
        if isinstance(values, Changes):
            values.check(await self.get(key))
        self.written.append(dict(values))
        (await self.get(key)).update(values)
        return self.rows[key]

    async def delete(self, key: Any) -> None:
        await self.get(key)
        del self.rows[key]


class MemoryUnit:
    """One unit of work of a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._before: dict[int, dict[str, Any]] = {}

    async def __aenter__(self) -> None:
        self._before = copy.deepcopy(self._store.rows)
        self._store.log.append("open")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._store.log.append("commit")
        else:
            self._store.rows = self._before
            self._store.log.append(f"rollback {kind.__name__}")


def model_over(store: MemoryStore) -> type[Any]:
    """Return a model class that knows its store, as `bali.database` makes them."""
    return type("Thing", (), {"__store__": store})


def resource_over(store: MemoryStore, **attributes: Any) -> type[Resource]:
    """Return a resource of items over a store."""
    return type(
        "ItemResource",
        (ModelResource,),
        {"model": model_over(store), "__module__": __name__, **attributes},
    )


def spec_of(resource: type[Resource], name: str) -> ActionSpec:
    """Return the spec of one action."""
    spec = Collector().collect(resource).action(name)
    assert spec is not None
    return spec


async def call(
    resource: type[Resource],
    name: str,
    /,
    *,
    pipeline: Pipeline | None = None,
    context: Context | None = None,
    **arguments: Any,
) -> Any:
    """Run one action and return its result."""
    return await (pipeline or Pipeline()).run(
        Call(spec=spec_of(resource, name), arguments=arguments, context=context or Context())
    )


async def refused(resource: type[Resource], name: str, /, **options: Any) -> BaliError:
    """Run one action and return the error it ends with."""
    with pytest.raises(BaliError) as caught:
        await call(resource, name, **options)
    return caught.value


async def wrong_fields(
    resource: type[Resource], name: str, /, **options: Any
) -> list[tuple[str, str]]:
    """Run one action and return the field and reason of each field error."""
    error = await refused(resource, name, **options)
    assert error.reason == "VALIDATION_FAILED"
    return [(item.field, item.reason) for item in error.field_errors]


def mistake(resource: Any) -> str:
    """Collect a resource that must be refused, and return the message."""
    with pytest.raises(ConfigurationError) as caught:
        Collector().collect(resource)
    return str(caught.value)


@asynccontextmanager
async def recording_unit(log: list[str], name: str, *, fails: str = "") -> AsyncIterator[None]:
    """Write into `log` what becomes of a unit of work; `fails` at "open" or at "commit"."""
    if fails == "open":
        raise RuntimeError(f"{name} cannot open")
    log.append(f"open {name}")
    try:
        yield
    except BaseException as error:
        log.append(f"rollback {name} {type(error).__name__}")
        raise
    if fails == "commit":
        log.append(f"fail {name}")
        raise RuntimeError(f"{name} cannot commit")
    log.append(f"commit {name}")
