"""A service whose items have records in records, and fields of every behaviour in them."""

from __future__ import annotations

import enum
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, computed_field, model_validator
from sqlalchemy import JSON, Dialect, String
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from bali import Bali, Database, ModelResource, Principal, StaticTokens, model_to_schema
from bali.settings import Settings, Stage

__all__ = ["Shop", "db", "make_app"]

db = Database()

TOKENS = {f"{name}-token": Principal(id=name) for name in ("ann", "bob")}


class Size(enum.StrEnum):
    """How large something is."""

    SMALL = "small"
    LARGE = "large"


class Point(BaseModel):
    """A place on the map."""

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: float
    source: str | None = Field(default=None, json_schema_extra={"readOnly": True})


class Pick(BaseModel):
    """Fetched by the customer."""

    kind: Literal["pick"] = "pick"
    desk: int


class Post(BaseModel):
    """Sent by post."""

    kind: Literal["post"] = "post"
    price: int


class Address(BaseModel):
    """Where something is."""

    street: Annotated[str, Field(max_length=20)]
    city: str | None = None
    postcode: str = Field(default="00000", alias="zip", max_length=5)
    floor: int = 0
    size: Size = Size.SMALL
    point: Point | None = None
    tags: list[str] = []
    notes: dict[str, str] = {}
    delivery: Annotated[Pick | Post, Field(discriminator="kind")] | None = None
    anything: Any = None
    country: str | None = Field(default=None, json_schema_extra={"x-immutable": True})
    code: str | None = Field(default=None, json_schema_extra={"writeOnly": True})
    seal: str | None = Field(
        default=None, json_schema_extra={"writeOnly": True, "x-immutable": True}
    )
    checked: bool = Field(default=False, json_schema_extra={"readOnly": True})

    @computed_field
    def label(self) -> str:
        """What to write on a parcel."""
        return f"{self.street.upper()}, {self.city}"

    @model_validator(mode="after")
    def _check_nowhere(self) -> Address:
        if self.city == "Nowhere" and self.floor > 0:
            raise ValueError("there are no floors in Nowhere")
        return self


class Shop(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A shop."""

    __tablename__ = "nested_shops"

    name: Mapped[str] = mapped_column(String(50), default="")
    rank: Mapped[int] = mapped_column(default=7)
    owner: Mapped[str] = mapped_column(String(20), default="")
    address: Mapped[Any] = mapped_column(JSON, nullable=True)
    origin: Mapped[Any] = mapped_column(JSON, nullable=True)


class ShopSchema(model_to_schema(Shop)):  # type: ignore[misc]  # made at run time
    """A shop, and where it is."""

    address: Address | None = None
    origin: Point | None = Field(default=None, json_schema_extra={"x-immutable": True})


class AsText(TypeDecorator[Any]):
    """JSON in a column of text."""

    impl = String(500)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Return the text."""
        del dialect
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return what the text says."""
        del dialect
        return None if value is None else json.loads(value)


class Box(db.Model):  # type: ignore[name-defined, misc]  # made at run time
    """Something with a record in a column of its author's own."""

    __tablename__ = "nested_boxes"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), default="")
    lid: Mapped[Any] = mapped_column(AsText, nullable=True)


class Lid(BaseModel):
    """What closes a box."""

    colour: str
    width: int = 1


class BoxSchema(model_to_schema(Box)):  # type: ignore[misc]  # made at run time
    """A box and its lid."""

    lid: Lid | None = None


class BoxResource(ModelResource):
    """Boxes, of which nothing is immutable."""

    model = Box
    schema = BoxSchema
    plural = "boxes"


class ShopResource(ModelResource):
    """Shops: each caller sees their own, and strangers see all."""

    model = Shop
    schema = ShopSchema
    batch = True

    def visible_to(self, principal: Principal | None) -> Any:
        """Return the caller's shops, all of them to nobody in particular."""
        return True if principal is None else Shop.owner == principal.id


class OwnShopResource(ModelResource):
    """The same, changed in a way of their author's own."""

    name = "own_shop"
    model = Shop
    schema = type("OwnShopSchema", (ShopSchema,), {"__module__": __name__})
    batch = True

    async def update(self, pk: int, schema_in: Any) -> Shop:
        """Change what was sent, whatever way it was sent."""
        sent = schema_in.model_dump(exclude_unset=True)
        shop: Shop = await self.store.update(pk, sent)
        return shop


class LoudShopResource(ModelResource):
    """The same, with an update that goes on to that of the base class."""

    name = "loud_shop"
    model = Shop
    schema = type("LoudShopSchema", (ShopSchema,), {"__module__": __name__})

    async def update(self, pk: int, schema_in: Any) -> Shop:
        """Change what was sent, and shout the street."""
        if schema_in.address is not None:
            schema_in.address.street = schema_in.address.street.upper()
        shop: Shop = await super().update(pk, schema_in)
        return shop


def make_app() -> Bali:
    """Return the app; `db` must be connected by whoever runs it."""
    return Bali(
        title="nested",
        resources=[ShopResource, OwnShopResource, LoudShopResource, BoxResource],
        authenticator=StaticTokens(TOKENS),
        settings=Settings(stage=Stage.TEST),
        databases=[db],
    )
