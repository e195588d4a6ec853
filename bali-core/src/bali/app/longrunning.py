"""The long-running operations of an app: their resource, their table, their worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bali.database import Database
from bali.errors import ConfigurationError
from bali.operations import OperationDesk, OperationOptions, OperationResource
from bali.operations.table import TABLE_NAME, operations_table
from bali.resources import ActionSpec
from bali.settings import Settings

if TYPE_CHECKING:
    from bali.app.application import Bali

__all__ = ["AppOperations", "has_models"]


class AppOperations:
    """What an app with an action that is `lro=True` has besides."""

    def __init__(self, first: ActionSpec) -> None:
        self._first = first
        #: A class of its own for each app, since it knows the app's desk.
        self.resource: type[OperationResource] = type(
            OperationResource.__name__,
            (OperationResource,),
            {"__module__": OperationResource.__module__, "__doc__": OperationResource.__doc__},
        )

    def declare_table(self, databases: Sequence[Database]) -> None:
        """Let the first database have the table of operations."""
        operations_table(databases[0].metadata)

    def open_desk(
        self,
        databases: Sequence[Database],
        actions: Iterable[ActionSpec],
        *,
        service: str,
        settings: Settings,
        has_database: bool,
    ) -> OperationDesk:
        """Return what stores the operations. Raises `ConfigurationError` without a database."""
        if not has_database:
            raise ConfigurationError(
                f"{self._first.place}: lro=True needs a database, which keeps the operations; set "
                "DATABASE_URL, or pass databases=[...] to Bali"
            )
        options = OperationOptions(
            workers=settings.operation_workers,
            lease_seconds=settings.operation_lease_seconds,
            max_losses=settings.operation_max_losses,
            retention_seconds=settings.operation_retention_seconds,
            max_wait_seconds=settings.operation_max_wait_seconds,
        )
        desk = OperationDesk(databases[0], actions, service=service, options=options)
        self.resource.desk = desk
        return desk

    @asynccontextmanager
    async def performing(self, app: Bali) -> AsyncIterator[None]:
        """Perform operations while the block runs, until the app is told to stop."""
        desk = self.resource.desk
        if not app.serves_others:
            yield
            return
        unsubscribe = app.readiness.subscribe(lambda ready: None if ready else desk.stop())
        try:
            async with desk.working(app.pipeline):
                yield
        finally:
            unsubscribe()


def has_models(database: Database) -> bool:
    """Tell whether a database has tables besides that of operations."""
    return bool(database.metadata.tables.keys() - {TABLE_NAME})
