"""bali: a Model and a Resource, written once, served over REST and gRPC from one pipeline.

Everything a service needs can be imported from here. Names are loaded when they are first used,
so `import bali` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bali._former import find_former_modules

if TYPE_CHECKING:
    from fastapi import APIRouter

    from bali.app import Bali
    from bali.auth import (
        AnyOf,
        BearerAuthenticator,
        JwtAuthenticator,
        PeerCertificateAuthenticator,
        StaticTokens,
    )
    from bali.database import Database, SoftDelete, db, get_filters_expr, model_to_schema
    from bali.errors import (
        Aborted,
        AlreadyExists,
        BaliError,
        Cancelled,
        ConfigurationError,
        DataLoss,
        DeadlineExceeded,
        FailedPrecondition,
        FieldError,
        Internal,
        InvalidArgument,
        NotFound,
        OutOfRange,
        PermissionDenied,
        ResourceExhausted,
        Unauthenticated,
        Unavailable,
        Unimplemented,
        Unknown,
        ValidationFailed,
    )
    from bali.resources import (
        API,
        AllowAny,
        Authenticator,
        BasePermission,
        Context,
        HasScope,
        IsAuthenticated,
        ListRequest,
        ModelResource,
        Page,
        Permission,
        Principal,
        Resource,
        action,
        current_context,
    )
    from bali.rpc import ProcessInterceptor, ServiceMixin
    from bali.settings import Settings, Stage, initialize

_MODULES: dict[str, tuple[str, ...]] = {
    "fastapi": ("APIRouter",),
    "bali.app": ("Bali",),
    "bali.auth": (
        "AnyOf",
        "BearerAuthenticator",
        "JwtAuthenticator",
        "PeerCertificateAuthenticator",
        "StaticTokens",
    ),
    "bali.database": ("Database", "SoftDelete", "db", "get_filters_expr", "model_to_schema"),
    "bali.errors": (
        "Aborted",
        "AlreadyExists",
        "BaliError",
        "Cancelled",
        "ConfigurationError",
        "DataLoss",
        "DeadlineExceeded",
        "FailedPrecondition",
        "FieldError",
        "Internal",
        "InvalidArgument",
        "NotFound",
        "OutOfRange",
        "PermissionDenied",
        "ResourceExhausted",
        "Unauthenticated",
        "Unavailable",
        "Unimplemented",
        "Unknown",
        "ValidationFailed",
    ),
    "bali.resources": (
        "API",
        "AllowAny",
        "Authenticator",
        "BasePermission",
        "Context",
        "HasScope",
        "IsAuthenticated",
        "ListRequest",
        "ModelResource",
        "Page",
        "Permission",
        "Principal",
        "Resource",
        "action",
        "current_context",
    ),
    "bali.rpc": ("ProcessInterceptor", "ServiceMixin"),
    "bali.settings": ("Settings", "Stage", "initialize"),
}
find_former_modules()
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "API",
    "APIRouter",
    "Aborted",
    "AllowAny",
    "AlreadyExists",
    "AnyOf",
    "Authenticator",
    "Bali",
    "BaliError",
    "BasePermission",
    "BearerAuthenticator",
    "Cancelled",
    "ConfigurationError",
    "Context",
    "DataLoss",
    "Database",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldError",
    "HasScope",
    "Internal",
    "InvalidArgument",
    "IsAuthenticated",
    "JwtAuthenticator",
    "ListRequest",
    "ModelResource",
    "NotFound",
    "OutOfRange",
    "Page",
    "PeerCertificateAuthenticator",
    "Permission",
    "PermissionDenied",
    "Principal",
    "ProcessInterceptor",
    "Resource",
    "ResourceExhausted",
    "ServiceMixin",
    "Settings",
    "SoftDelete",
    "Stage",
    "StaticTokens",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "ValidationFailed",
    "action",
    "current_context",
    "db",
    "get_filters_expr",
    "initialize",
    "model_to_schema",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'bali' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
