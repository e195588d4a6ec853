"""Models, and the database they live in."""

from bali.database.database import Database
from bali.database.failures import mapped_errors
from bali.database.filters import get_filters_expr
from bali.database.queries import AsyncQuery, SyncQuery
from bali.database.schema import ModelSchema, model_to_schema
from bali.database.soft_delete import SoftDelete
from bali.database.store import ModelStore
from bali.database.types import BinaryText, Duration, ExactNumeric, UTCDateTime
from bali.database.unit import Transaction, Unit

__all__ = [
    "AsyncQuery",
    "BinaryText",
    "Database",
    "Duration",
    "ExactNumeric",
    "ModelSchema",
    "ModelStore",
    "SoftDelete",
    "SyncQuery",
    "Transaction",
    "UTCDateTime",
    "Unit",
    "db",
    "get_filters_expr",
    "mapped_errors",
    "model_to_schema",
]

#: The database of a service that has one. It connects when it is first used.
db = Database()
