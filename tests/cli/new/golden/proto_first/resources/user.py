"""The operations on users: list, get, create, update, delete, and those written here."""

import logging

from bali import AllowAny, ModelResource, action

from models import User
from schemas import Deactivation

_log = logging.getLogger(__name__)


class UserResource(ModelResource):
    """The users of the service."""

    model = User
    # For everybody who reaches the port: write [IsAuthenticated] once main.py has an authenticator.
    permission_classes = [AllowAny]
    filters = ["name", "is_active"]

    @action(detail=True, methods=["post"])
    async def deactivate(self, pk: int, schema_in: Deactivation) -> User:
        """Switch a user off."""
        user: User = await self.store.get(pk)
        user.deactivate()
        await user.aio.save()
        _log.info("deactivated %s", user.name, extra={"reason": schema_in.reason})
        return user
