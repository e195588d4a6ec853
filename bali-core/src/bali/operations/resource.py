"""The resource by which callers look after their operations, on every protocol."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field

from bali.errors import NotFound
from bali.resources import (
    ActionSpec,
    AllowAny,
    Context,
    Operation,
    Page,
    Permission,
    Resource,
    ResourceSpec,
    action,
)

if TYPE_CHECKING:
    from bali.operations.desk import OperationDesk

__all__ = ["SERVICE", "OperationList", "OperationResource", "served_operations"]

#: The standard gRPC service that client libraries know.
SERVICE = "google.longrunning.Operations"

_ID = re.compile(r"[0-9a-f]{32}")
_MAX_PAGE_SIZE = 1000


class StartedByCaller(Permission):
    """Lets everybody ask: an operation is found by the caller who started it, and nobody else."""

    def has_permission(self, context: Context) -> bool:
        """Return True."""
        del context
        return True


class OperationList(BaseModel):
    """Which operations to return."""

    page_size: int = Field(default=50, ge=0, le=_MAX_PAGE_SIZE, description="0 for the default.")
    page_token: str = Field(
        default="", max_length=200, description="`next_page_token` of the page before."
    )


class OperationResource(Resource):
    """The long-running operations that the caller has started.

    Those of other callers are not found.
    """

    name = "operation"
    plural = "operations"
    schema = Operation
    actions = ("list", "get", "delete")
    permission_classes = (AllowAny | StartedByCaller(),)

    #: Set for each app.
    desk: ClassVar[OperationDesk]

    async def list(self, schema_in: OperationList) -> Page[Operation]:  # type: ignore[override]  # no filter, no ordering
        """Return one page of the caller's operations, the newest first."""
        size = schema_in.page_size or OperationList.model_fields["page_size"].default
        return await self.desk.page(self.context, size, schema_in.page_token)

    async def get(self, pk: str) -> Operation:
        """Return an operation as it is now."""
        return await self.desk.get(_checked(pk), self.context)

    async def delete(self, pk: str) -> None:
        """Remove an operation that its caller needs no more; one that goes on is not cancelled."""
        await self.desk.delete(_checked(pk), self.context)

    @action(detail=True, methods=["post"])
    async def wait(self, pk: str, timeout: datetime.timedelta | None = None) -> Operation:  # noqa: ASYNC109 - the name in google.longrunning
        """Return an operation when it is done, or as it is when the time is over.

        Without a `timeout`, or with a longer one, a minute is the most.
        """
        seconds = None if timeout is None else timeout.total_seconds()
        return await self.desk.wait(_checked(pk), self.context, seconds)

    @action(detail=True, methods=["post"])
    async def cancel(self, pk: str) -> None:
        """Ask an operation to end; it may be done before it hears of it."""
        await self.desk.cancel(_checked(pk), self.context)


def served_operations(spec: ResourceSpec) -> ResourceSpec:
    """Return the specification with the paths and the gRPC service of the standard (AIP-151)."""
    return replace(spec, actions=tuple(map(_standard, spec.actions)))


def _standard(action: ActionSpec) -> ActionSpec:
    bindings = tuple(
        replace(binding, path=re.sub(r"/(wait|cancel)\Z", r":\1", binding.path))
        for binding in action.bindings
    )
    is_waiting = action.name == "wait"
    return replace(action, bindings=bindings, rpc_service=SERVICE, is_waiting=is_waiting)


def _checked(key: Any) -> str:
    """Return the id in a key, which may be the whole name. Raises `NotFound` for what is none."""
    found = str(key).removeprefix("operations/")
    if not _ID.fullmatch(found):
        raise NotFound(resource_type="operation")
    return found
