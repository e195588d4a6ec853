"""Resources: what a service offers, and the pipeline that answers every call of it."""

from bali.resources.action import action
from bali.resources.admission import Admission
from bali.resources.changes import Changes
from bali.resources.collect import Collector
from bali.resources.context import (
    Authenticator,
    Call,
    Context,
    LongRunning,
    PeerCertificate,
    Principal,
    current_context,
    new_request_id,
)
from bali.resources.declarative import API
from bali.resources.longrunning import (
    Operation,
    OperationError,
    OperationMetadata,
    Operations,
    OperationState,
    OperationWire,
)
from bali.resources.permissions import (
    AllowAny,
    BasePermission,
    HasScope,
    IsAuthenticated,
    Permission,
)
from bali.resources.pipeline import Pipeline
from bali.resources.requests import FieldMask, ListRequest
from bali.resources.resource import ModelResource, Resource
from bali.resources.servicer import ServicerRuntime, use_servicer_runtime
from bali.resources.spec import ActionSpec, HttpBinding, Kind, ResourceSpec, Wrap
from bali.resources.store import Listing, ListQuery, Page, Store, Stored, UnitFactory, Within

__all__ = [
    "API",
    "ActionSpec",
    "Admission",
    "AllowAny",
    "Authenticator",
    "BasePermission",
    "Call",
    "Changes",
    "Collector",
    "Context",
    "FieldMask",
    "HasScope",
    "HttpBinding",
    "IsAuthenticated",
    "Kind",
    "ListQuery",
    "ListRequest",
    "Listing",
    "LongRunning",
    "ModelResource",
    "Operation",
    "OperationError",
    "OperationMetadata",
    "OperationState",
    "OperationWire",
    "Operations",
    "Page",
    "PeerCertificate",
    "Permission",
    "Pipeline",
    "Principal",
    "Resource",
    "ResourceSpec",
    "ServicerRuntime",
    "Store",
    "Stored",
    "UnitFactory",
    "Within",
    "Wrap",
    "action",
    "current_context",
    "new_request_id",
    "use_servicer_runtime",
]
