"""REST: resources over HTTP and JSON, as routes of a FastAPI application."""

from bali.rest.direct import DirectRoutes
from bali.rest.docs import install_docs
from bali.rest.index import RouteIndex
from bali.rest.openapi import build_openapi
from bali.rest.operations import BEARER_SCHEMES
from bali.rest.own_router import own_router
from bali.rest.probes import install_probes
from bali.rest.problems import install_errors, problem
from bali.rest.propagation import RequestPropagation
from bali.rest.routes import ActionRoute, resource_router, routed_actions
from bali.schemas.payload import BytesDecoder, encoder_for

__all__ = [
    "BEARER_SCHEMES",
    "ActionRoute",
    "BytesDecoder",
    "DirectRoutes",
    "RequestPropagation",
    "RouteIndex",
    "build_openapi",
    "encoder_for",
    "install_docs",
    "install_errors",
    "install_probes",
    "own_router",
    "problem",
    "resource_router",
    "routed_actions",
]
