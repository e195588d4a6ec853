"""The operations on orders. Placing one asks the user service who orders."""

import logging

from bali import ModelResource, action

from clients import AsyncUserClient
from models import Order
from schemas import Cancellation, Purchase

_log = logging.getLogger(__name__)

#: How the user service is called; tests put a fake here.
users = AsyncUserClient()


class OrderResource(ModelResource):
    """The orders of the shop."""

    model = Order
    actions = ["list", "get"]
    filters = ["user_id", "is_active"]

    @action(methods=["post"])
    async def place(self, schema_in: Purchase) -> Order:
        """Place an order for a user; an unknown one is the user service's own NOT_FOUND."""
        user = await users.get_user(id=schema_in.user_id)
        order: Order = await Order.aio.create(**schema_in.model_dump(), user_name=user.name)
        _log.info("placed order %s for %s", order.id, user.name)
        return order

    @action(detail=True, methods=["post"])
    async def cancel(self, pk: int, schema_in: Cancellation) -> Order:
        """Call an order off."""
        order: Order = await self.store.get(pk)
        order.cancel()
        await order.aio.save()
        _log.info("cancelled order %s", order.id, extra={"reason": schema_in.reason})
        return order
