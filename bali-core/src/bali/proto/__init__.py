"""protobuf's spoke: the typed tree as descriptors, and values as messages."""

from bali.proto.codec import Codec, EncodeError
from bali.proto.dicts import MessageToDict, ParseDict
from bali.proto.messages import bind_request, bind_response
from bali.proto.operations import OPERATION, BoundOperation, bind_operation, fill_operation
from bali.proto.service import bind_service, build_service, request_decoder
from bali.proto.shapes import BoundMethod, BoundService, HttpRule, Method, ServiceShape
from bali.proto.status import error_from_status, status_proto
from bali.proto.text import proto_text

__all__ = [
    "OPERATION",
    "BoundMethod",
    "BoundOperation",
    "BoundService",
    "Codec",
    "EncodeError",
    "HttpRule",
    "MessageToDict",
    "Method",
    "ParseDict",
    "ServiceShape",
    "bind_operation",
    "bind_request",
    "bind_response",
    "bind_service",
    "build_service",
    "error_from_status",
    "fill_operation",
    "proto_text",
    "request_decoder",
    "status_proto",
]
