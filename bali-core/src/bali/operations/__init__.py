"""Long-running operations (AIP-151): stored, performed by workers, looked after by callers."""

from bali.operations.desk import OperationDesk
from bali.operations.options import OperationOptions
from bali.operations.resource import SERVICE, OperationResource, served_operations
from bali.operations.service import bind_operations

__all__ = [
    "SERVICE",
    "OperationDesk",
    "OperationOptions",
    "OperationResource",
    "bind_operations",
    "served_operations",
]
