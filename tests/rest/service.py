"""A FastAPI app with resources in memory: what the REST adapter's tests call."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import itertools
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from bali.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from bali.resources import (
    Collector,
    Context,
    IsAuthenticated,
    ListQuery,
    ModelResource,
    Page,
    Pipeline,
    Principal,
    Resource,
    ResourceSpec,
    action,
)
from bali.resources.filter import matches
from bali.rest import build_openapi, install_docs, install_errors, install_probes, resource_router


class Size(enum.Enum):
    """How large a parcel is."""

    SMALL = "small"
    LARGE = "large"


class Address(BaseModel):
    """Where a parcel goes."""

    street: Annotated[str, Field(min_length=1, max_length=40)]
    number: int | None = None


class ParcelSchema(BaseModel):
    """Something to be delivered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": 1, "label": "books"}]})

    id: int = Field(json_schema_extra={"readOnly": True})
    label: Annotated[str, Field(min_length=1, max_length=20, description="What it says on it.")]
    size: Size = Size.SMALL
    weight: decimal.Decimal | None = None
    address: Address | None = None


class ParcelStore:
    """Parcels in memory."""

    key_name = "id"
    key_type = int

    def __init__(self) -> None:
        self.rows: dict[int, ParcelSchema] = {}
        self.ids = itertools.count(1)

    def schema(self) -> type[BaseModel]:
        return ParcelSchema

    def filter_types(self, declared: Sequence[str], *, where: str) -> Mapping[str, Any]:
        return {name: list[int] if name.endswith("__in") else str for name in declared}

    def filterable(self) -> Mapping[str, Any]:
        return {name: info.annotation for name, info in ParcelSchema.model_fields.items()}

    def unit(self) -> AbstractAsyncContextManager[Any]:
        return nullcontext()

    async def list(self, query: ListQuery) -> Page[Any]:
        if query.page_token:
            raise InvalidArgument("The page token is not one of this service", reason="BAD_TOKEN")
        rows = [row for row in self.rows.values() if matches(query.condition, row)]
        if "label" in query.filters:
            rows = [row for row in rows if row.label == query.filters["label"]]
        if "id__in" in query.filters:
            rows = [row for row in rows if row.id in query.filters["id__in"]]
        page = rows[query.skip : query.skip + query.page_size]
        return Page(items=page, total=len(rows) if query.with_total else None)

    async def get(self, key: Any) -> Any:
        if key not in self.rows:
            raise NotFound
        return self.rows[key]

    async def create(self, values: Mapping[str, Any]) -> Any:
        if any(row.label == values["label"] for row in self.rows.values()):
            raise AlreadyExists
        row = ParcelSchema(id=next(self.ids), **values)
        self.rows[row.id] = row
        return row

    async def update(self, key: Any, values: Mapping[str, Any]) -> Any:
        row = await self.get(key)
        self.rows[key] = ParcelSchema(**{**dict(row), **values})
        return self.rows[key]

    async def delete(self, key: Any) -> None:
        await self.get(key)
        del self.rows[key]


class Parcel:
    """The model whose store is in memory."""

    __store__ = ParcelStore()


class Move(BaseModel):
    """An order to move a parcel."""

    to: Address
    at: datetime.datetime | None = None


class Circle(BaseModel):
    """A round shape."""

    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    """A shape with four sides."""

    kind: Literal["square"] = "square"
    side: float
    stamp: bytes = b""


class Everything(BaseModel):
    """Every type that both protocols carry."""

    truth: bool
    whole: int
    real: float
    text: str
    raw: bytes
    money: decimal.Decimal
    moment: datetime.datetime
    day: datetime.date
    clock: datetime.time
    span: datetime.timedelta
    key: uuid.UUID
    size: Size
    maybe: int | None = None
    stamps: list[bytes] = []
    prices: dict[str, decimal.Decimal] = {}
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    anything: object = None


class Tick(BaseModel):
    """One item of a stream."""

    number: int


class Seen(BaseModel):
    """What an action knows of its call."""

    protocol: str
    request_id: str
    peer: str
    remaining: float | None
    metadata: dict[str, str]


class Log:
    """What happened in actions that were still at work when their caller left."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.tasks: set[Any] = set()


class ParcelResource(ModelResource):
    """Parcels, and what can be done with them."""

    model = Parcel
    filters = ("label", "id__in")

    @action(detail=True, methods=["post"])
    async def move(self, pk: int, schema_in: Move) -> ParcelSchema:
        """Move a parcel.

        The parcel is on its way when the answer comes.
        """
        row: ParcelSchema = await self.store.update(pk, {"address": schema_in.to})
        return row

    @action(methods=["post", "put"])
    async def import_labels(self, labels: list[str], size: Size = Size.SMALL) -> int:
        """Create a parcel for each label."""
        for label in labels:
            if not 0 < len(label) <= 20:
                raise FailedPrecondition("a label has 1 to 20 characters")
            await self.store.create({"label": label, "size": size})
        return len(labels)

    @action()
    def census(self, size: Size | None = None) -> int:
        """Count parcels."""
        rows = Parcel.__store__.rows.values()
        return sum(1 for row in rows if size is None or row.size is size)


class ProbeResource(Resource):
    """Actions without a model."""

    log: Log

    @action(methods=["post"])
    async def echo(self, schema_in: Everything) -> Everything:
        """Return what was sent."""
        return schema_in

    @action()
    async def raw(self, data: bytes) -> bytes:
        """Return bytes given in the query string."""
        return data

    @action()
    async def seen(self) -> Seen:
        """Tell of the call."""
        self.context.response_metadata["X-Kind"] = "a\r\nset-cookie: b"
        self.context.response_metadata["Content-Length"] = "7"
        self.context.response_metadata["bad name"] = "x"
        return Seen(
            protocol=self.context.protocol,
            request_id=self.context.request_id,
            peer=self.context.peer,
            remaining=self.context.time_remaining_seconds,
            metadata={key: str(value) for key, value in self.context.metadata.items()},
        )

    @action(permission_classes=[IsAuthenticated])
    async def whoami(self) -> str:
        """Tell who is calling."""
        return self.auth.id if self.auth else ""

    @action()
    async def explode(self) -> str:
        """Fail as a bug does."""
        raise RuntimeError("password hunter2")

    @action()
    async def busy(self) -> str:
        """Refuse for a while."""
        raise Unavailable(retry_after_seconds=1.2)

    @action(methods=["post"])
    async def sleep(self, seconds: Annotated[float, Field(ge=0, le=60)] = 0) -> str:
        """Wait."""
        self.log.started.set()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.log.cancelled.set()
            raise
        return "slept"

    @action(methods=["delete"])
    async def sweep(self, *, hard: bool = False) -> None:
        """Remove what is left; answers with an empty object."""

    @action()
    async def ticks(
        self,
        count: Annotated[int, Field(ge=0, le=100)],
        fail_at: int | None = None,
        pause: Annotated[float, Field(ge=0, le=60)] = 0,
    ) -> AsyncIterator[Tick]:
        """Count up; refuse to go on at `fail_at`."""
        self.log.tasks.add(asyncio.current_task())
        self.log.started.set()
        try:
            for number in range(count):
                if number == fail_at:
                    raise FailedPrecondition("no further", reason="STOPPED")
                yield Tick(number=number)
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            self.log.cancelled.set()
            raise

    @action()
    async def explode_ticks(self) -> AsyncIterator[Tick]:
        """Fail as a bug does, in the middle of a stream."""
        yield Tick(number=0)
        raise RuntimeError("password hunter2")


class LeafResource(Resource):
    """Things whose key is text."""

    name = "leaf"
    plural = "leaves"

    @action(detail=True)
    async def get(self, pk: str) -> str:
        """Return the key itself."""
        return pk

    @action(methods=["post"])
    async def rake(self) -> str:
        """Do something to all of them."""
        return "raked"


class Tokens:
    """Knows one token."""

    async def authenticate(self, context: Context) -> Principal | None:
        given = context.metadata.get("authorization")
        if given is None:
            return None
        if given != "Bearer ann-token":
            raise Unauthenticated("The token is not known", reason="INVALID_TOKEN")
        return Principal(id="ann")


class PlainIn(BaseModel):
    """The body of a plain FastAPI route."""

    name: str


plain = APIRouter()


@plain.post("/plain")
async def plain_route(body: PlainIn, limit: Annotated[int, Query(ge=1)] = 1) -> PlainIn:
    """A route as FastAPI users write it."""
    return body


@plain.get("/plain/teapot", include_in_schema=False)
async def teapot() -> None:
    raise HTTPException(status_code=418, detail={"tea": "no"}, headers={"X-Tea": "no"})


@plain.get("/plain/missing", include_in_schema=False)
async def missing() -> None:
    raise HTTPException(status_code=404, detail="no such thing")


@plain.get("/plain/broken", include_in_schema=False)
async def broken() -> None:
    raise RuntimeError("password hunter2")


RESOURCES: tuple[type[Resource], ...] = (ParcelResource, ProbeResource, LeafResource)


def make_specs() -> list[ResourceSpec]:
    collector = Collector()
    return [collector.collect(resource) for resource in RESOURCES]


def make_app(**options: Any) -> FastAPI:
    """Return an app over an empty store."""
    Parcel.__store__ = ParcelStore()
    ProbeResource.log = Log()
    app = FastAPI(title="parcels", docs_url=None, redoc_url=None, **options)
    specs = make_specs()
    pipeline = Pipeline(authenticator=Tokens())
    install_errors(app)
    install_probes(app, lambda: getattr(app.state, "is_ready", True))
    install_docs(app)
    app.include_router(plain)
    for spec in specs:
        app.include_router(resource_router(spec, lambda: pipeline))

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = build_openapi(app, specs)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way
    return app
