"""The service whose behaviour is the same whichever way it is called."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator
from sqlalchemy import Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from bali import (
    AllowAny,
    Bali,
    FailedPrecondition,
    HasScope,
    IsAuthenticated,
    ListRequest,
    ModelResource,
    Page,
    Principal,
    Resource,
    StaticTokens,
    action,
    model_to_schema,
)
from bali.settings import Settings, Stage
from tests.behaviour.accounts import AccountResource, PlainAccountResource
from tests.behaviour.database import db

TOKENS = {
    "ann-token": Principal(id="ann", scopes=frozenset({"ticks"})),
    "bob-token": Principal(id="bob"),
}


class Size(enum.Enum):
    """How large a parcel is."""

    SMALL = "small"
    LARGE = "large"


class Parcel(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """Something to be delivered."""

    __tablename__ = "behaviour_parcels"

    label: Mapped[str] = mapped_column(String(50), unique=True)
    priority: Mapped[int] = mapped_column(default=0)
    weight: Mapped[decimal.Decimal | None] = mapped_column(Numeric(10, 3))
    size: Mapped[Size] = mapped_column(default=Size.SMALL)
    note: Mapped[str | None] = mapped_column(String(200))
    shipped_at: Mapped[datetime.datetime | None]
    secret: Mapped[int] = mapped_column(default=0)


class Move(BaseModel):
    """Where a parcel goes."""

    to: Annotated[str, Field(min_length=1, max_length=20)]
    at: datetime.datetime | None = None


class Circle(BaseModel):
    """A round shape."""

    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    """A shape with four sides."""

    kind: Literal["square"] = "square"
    side: float


class Line(BaseModel):
    """One line of an order."""

    sku: str
    amount: int = 1


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
    lines: list[Line] = []
    prices: dict[str, decimal.Decimal] = {}
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    anything: object = None

    @field_validator("text")
    @classmethod
    def _not_forbidden(cls, value: str) -> str:
        if value == "forbidden":
            raise ValueError("this text is forbidden")
        return value


class Tick(BaseModel):
    """One item of a stream."""

    number: int


ParcelSchema = model_to_schema(Parcel, exclude=["secret"], name="ParcelSchema")


def heavier_than(weight: decimal.Decimal) -> Any:
    """Return the condition of a filter's `heavier_than(2.5)`."""
    return Parcel.weight > weight


def now() -> datetime.datetime:
    """Return the value of a filter's `now()`."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)


class ParcelResource(ModelResource):
    """Parcels, and what can be done with them."""

    model = Parcel
    schema = ParcelSchema
    filters = ("label", "priority__gte", "label__istartswith", "note__isnull", "size")
    filter_functions = {"heavier_than": heavier_than, "now": now}  # noqa: RUF012 - as users write it

    @action(detail=True, methods=["post"])
    async def move(self, pk: int, schema_in: Move) -> Parcel:
        """Move a parcel, and write down where."""
        parcel: Parcel = await self.store.update(
            pk, {"note": schema_in.to, "shipped_at": schema_in.at}
        )
        if schema_in.to == "nowhere":
            raise FailedPrecondition("there is no way to nowhere", reason="NO_WAY")
        return parcel

    @action(detail=True, methods=["post"])
    def relabel(self, pk: int, label: str) -> Parcel:
        """Change the label, in code that blocks."""
        parcel: Parcel = Parcel.io.first_or_error(id=pk)
        parcel.label = label
        parcel.save()
        if label == "explosive":
            raise ValueError("internal secret: table behaviour_parcels")
        return parcel

    @action()
    async def heaviest(self, count: int = 3) -> list[Parcel]:
        """Return the parcels of the highest priority."""
        parcels = await Parcel.aio.filter()
        return sorted(parcels, key=lambda parcel: (-parcel.priority, parcel.id))[:count]

    @action()
    async def urgent(self, schema_in: ListRequest) -> Page[Parcel]:
        """Return the parcels of a high priority, the least urgent first."""
        query: Page[Parcel] = Parcel.aio.query().filter(Parcel.priority > 1).order_by("priority")
        return query

    @action()
    async def census(self, priority: int | None = None) -> int:
        """Count parcels."""
        filters = {} if priority is None else {"priority": priority}
        return int(await Parcel.aio.count(**filters))

    @action(methods=["post"])
    async def import_labels(self, labels: list[str]) -> None:
        """Create a parcel for each label; all or none."""
        for label in labels:
            await Parcel.aio.create(label=label)

    @action(detail=True)
    async def follow(self, pk: int, steps: int = 3) -> AsyncIterator[Parcel]:
        """Tell of a parcel again and again."""
        for step in range(steps):
            parcel = await self.store.get(pk)
            parcel.priority = step
            yield parcel


class ProbeResource(Resource):
    """Actions without a model."""

    @action(methods=["post"])
    async def echo(self, schema_in: Everything) -> Everything:
        """Return what was sent."""
        return schema_in

    @action(permission_classes=[IsAuthenticated])
    async def whoami(self) -> str:
        """Tell who is calling, after giving others the chance to get in the way."""
        assert self.auth is not None
        before = self.auth.id
        await asyncio.sleep(0.005)
        assert self.auth.id == before
        return self.auth.id

    @action()
    async def ticks(self, count: int, fail_at: int | None = None) -> AsyncIterator[Tick]:
        """Count up; refuse to go on at `fail_at`."""
        for number in range(count):
            if number == fail_at:
                raise FailedPrecondition("no further", reason="STOPPED")
            yield Tick(number=number)

    @action()
    def slow_ticks(self, count: int) -> Iterator[Tick]:
        """Count up in code that blocks."""
        for number in range(count):
            yield Tick(number=number)

    @action(permission_classes=[HasScope("ticks")])
    async def secret_ticks(self) -> AsyncIterator[Tick]:
        """Count for those who may hear it."""
        yield Tick(number=42)

    @action(permission_classes=[AllowAny & ~IsAuthenticated])
    async def strangers(self) -> str:
        """Greet those who are not known."""
        return "hello"

    @action()
    async def explode(self) -> str:
        """Fail as a bug does."""
        raise RuntimeError("internal secret: password hunter2")

    @action()
    async def explode_ticks(self) -> AsyncIterator[Tick]:
        """Fail as a bug does, in the middle of a stream."""
        yield Tick(number=0)
        raise RuntimeError("internal secret: password hunter2")

    @action()
    async def sleep(self, seconds: float) -> str:
        """Wait."""
        await asyncio.sleep(seconds)
        return "slept"

    @action()
    async def wrong(self) -> int:
        """Return what was not promised."""
        return "not a number"  # type: ignore[return-value]


def make_app() -> Bali:
    """Return the app; `db` must be connected by whoever runs it."""
    return Bali(
        title="behaviour",
        resources=[ParcelResource, ProbeResource, AccountResource, PlainAccountResource],
        authenticator=StaticTokens(TOKENS),
        settings=Settings(stage=Stage.TEST),
        databases=[db],
    )
