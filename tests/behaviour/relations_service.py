"""A service whose items belong to one another, whichever way they are called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ForeignKey, String, or_
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bali import (
    Bali,
    Database,
    ListRequest,
    ModelResource,
    Page,
    Principal,
    SoftDelete,
    StaticTokens,
    action,
)
from bali.settings import Settings, Stage

__all__ = ["Customer", "Line", "Order", "Product", "db", "make_app"]

db = Database()

TOKENS = {f"{name}-token": Principal(id=name) for name in ("ann", "bob")}


class Customer(SoftDelete, db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """Somebody who orders."""

    __tablename__ = "rel_customers"

    name: Mapped[str] = mapped_column(String(50))
    agent: Mapped[str] = mapped_column(String(20), default="")

    orders: Mapped[list[Order]] = relationship(back_populates="customer")


class Order(SoftDelete, db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """What a customer wants."""

    __tablename__ = "rel_orders"

    customer_id: Mapped[int] = mapped_column(ForeignKey("rel_customers.id"))
    title: Mapped[str] = mapped_column(String(50))
    agent: Mapped[str] = mapped_column(String(20), default="")

    customer: Mapped[Customer] = relationship(back_populates="orders")
    lines: Mapped[list[Line]] = relationship(back_populates="order")


class Product(db.Model):  # type: ignore[name-defined, misc]  # made at run time
    """What can be ordered."""

    __tablename__ = "rel_products"

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    agent: Mapped[str] = mapped_column(String(20), default="")

    lines: Mapped[list[Line]] = relationship(back_populates="product")


class Line(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """How much of what an order is about."""

    __tablename__ = "rel_lines"

    order_id: Mapped[int] = mapped_column(ForeignKey("rel_orders.id"))
    product_id: Mapped[str | None] = mapped_column(ForeignKey("rel_products.id"))
    amount: Mapped[int] = mapped_column(default=1)

    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product | None] = relationship(back_populates="lines")


class Count(BaseModel):
    """How many items there are."""

    count: int


class Renaming(BaseModel):
    """A new title."""

    title: str


def _own(model: Any, principal: Principal | None) -> Any:
    """Return the condition of what an agent sees: their own and what has no agent."""
    if principal is None:
        return True
    return or_(model.agent == principal.id, model.agent == "")


class CustomerResource(ModelResource):
    """Customers, each agent's own."""

    model = Customer

    def visible_to(self, principal: Principal | None) -> Any:
        """Return what an agent sees."""
        return _own(Customer, principal)


class OrderResource(ModelResource):
    """The orders of a customer."""

    model = Order
    parent = CustomerResource
    batch = True

    def visible_to(self, principal: Principal | None) -> Any:
        """Return what an agent sees."""
        return _own(Order, principal)

    @action()
    async def count(self, customer_id: int) -> Count:
        """Count the orders of the customer."""
        assert customer_id == self.context.parents["customer_id"]
        page = await self.store.list(ListRequest(with_total=True).query())
        return Count(count=page.total or 0)

    @action()
    async def search(self, schema_in: ListRequest) -> Page[Order]:
        """Return a page of orders."""
        return await self.store.list(schema_in.query())

    @action(detail=True, methods=["post"])
    async def rename(self, pk: int, schema_in: Renaming) -> Order:
        """Give an order another title."""
        changed: Order = await self.store.update(pk, {"title": schema_in.title})
        return changed

    @action(detail=True, methods=["post"])
    async def hand_over(self, pk: int, to: int) -> Order:
        """Try to make it another customer's, which does not work."""
        changed: Order = await self.store.update(pk, {"customer_id": to})
        return changed

    @action()
    def ping(self) -> str:
        """Say something that has nothing to do with orders."""
        return "pong"

    @action()
    async def watch(self) -> AsyncIterator[Order]:
        """Yield the orders of the customer, one by one."""
        for item in (await self.store.list(ListRequest().query())).items:
            yield item


class LineResource(ModelResource):
    """The lines of an order."""

    model = Line
    parent = OrderResource
    batch = True


class ProductResource(ModelResource):
    """Products."""

    model = Product

    def visible_to(self, principal: Principal | None) -> Any:
        """Return what an agent sees."""
        return _own(Product, principal)


CustomerResource.expandable = {"orders": OrderResource}
OrderResource.expandable = {"customer": CustomerResource, "lines": LineResource}
LineResource.expandable = {"order": OrderResource, "product": ProductResource}
ProductResource.expandable = {"lines": LineResource}


CustomerResource.filter_fields = ["name", "orders.title", "orders.lines.product.name"]
OrderResource.filter_fields = ["title", "customer.name", "lines.amount", "lines.product.name"]
ProductResource.filter_fields = ["id", "name", "lines.order.title", "lines.order.customer.name"]


def make_app() -> Bali:
    """Return the app; `db` must be connected by whoever runs it."""
    return Bali(
        title="relations",
        resources=[CustomerResource, OrderResource, LineResource, ProductResource],
        authenticator=StaticTokens(TOKENS),
        settings=Settings(stage=Stage.TEST),
        databases=[db],
    )
