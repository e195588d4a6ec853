"""A long-running action of a nested resource is about the items of one parent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from bali import Bali, Database, ModelResource, NotFound, action
from bali.concurrency import run_blocking
from bali.testing import LiveServer, RestServiceClient, RpcServiceClient, ServiceClient, live_server

db = Database("sqlite://")


class Ship(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    __tablename__ = "nested_ships"


class Parcel(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    __tablename__ = "nested_parcels"

    ship_id: Mapped[int] = mapped_column(ForeignKey("nested_ships.id"))
    place: Mapped[str] = mapped_column(default="")


class ShipResource(ModelResource):
    model = Ship


class ParcelResource(ModelResource):
    model = Parcel
    parent = ShipResource

    @action(detail=True, methods=["post"], lro=True)
    async def unload(self, pk: int, ship_id: int) -> Parcel:
        unloaded: Parcel = await self.store.update(pk, {"place": f"from {ship_id}"})
        return unloaded


def finished(client: ServiceClient, operation: Any) -> Any:
    for _ in range(20):
        name = {"id": operation.name.removeprefix("operations/")}
        found: Any = client.call("operations.wait", name)
        if found.done:
            return found
    raise AssertionError(f"{operation} does not end")


@pytest.mark.parametrize("kind", [RestServiceClient, RpcServiceClient])
def test_the_work_sees_the_items_of_the_parent(kind: Callable[[LiveServer], ServiceClient]) -> None:
    app = Bali(title="harbour", resources=[ShipResource, ParcelResource], databases=[db])
    with live_server(app) as live:
        client = kind(live)
        one, other = (run_blocking(Ship.aio.create()).id for _ in range(2))
        parcel = run_blocking(Parcel.aio.create(ship_id=one)).id
        with pytest.raises(NotFound):
            client.call("parcels.unload", {"ship_id": other + 1, "id": parcel})
        wrong: Any = client.call("parcels.unload", {"ship_id": other, "id": parcel})
        assert finished(client, wrong).response is None
        right: Any = client.call("parcels.unload", {"ship_id": one, "id": parcel})
        assert finished(client, right).response["place"] == f"from {one}"
        client.close()
