"""What a service looks like before it has descriptors, and what it is once it has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from bali.proto.operations import BoundOperation
from bali.schemas import Record

__all__ = ["BoundMethod", "BoundService", "HttpRule", "Method", "ServiceShape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRule:
    """How a method is called over HTTP, in the sense of google.api.http (AIP-127).

    `path` may contain `{id}`. `body`: "*" when the body holds every field that the path does not,
    the name of one field when the body is that one, "" when fields come from the query string.
    """

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method: its request and response as trees; an absent response is an empty message.

    `metadata` makes it a long-running method: it returns an operation with this metadata, whose
    own response is `response`.
    """

    name: str
    request: Record
    response: Record | None
    metadata: Record | None = None
    is_server_streaming: bool = False
    description: str = ""
    http: tuple[HttpRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceShape:
    """One service of one .proto file."""

    package: str
    name: str
    file_name: str
    methods: tuple[Method, ...]
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundMethod:
    """A method with its message classes and the conversions between them and Python values.

    `decode` takes a request message to arguments by wire name. What is not present is absent. It
    never raises: what has no Python value is text that validation refuses. `encode` takes an object
    of the response model (None for an empty message) to a response message; it raises `EncodeError`
    for a value that the message cannot hold.

    `encode_request` and `decode_response` are the caller's side: from a mapping by wire name, or an
    object, to a request; from a response to Python values, with None for what is null. `operation`
    has the messages of a long-running method.
    """

    name: str
    path: str
    input_type: type[Message]
    output_type: type[Message]
    is_server_streaming: bool
    decode: Callable[[Message], dict[str, Any]]
    encode: Callable[[Any], Message]
    encode_request: Callable[[Mapping[str, Any] | Any], Message]
    decode_response: Callable[[Message], dict[str, Any]]
    operation: BoundOperation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundService:
    """A service whose every method is bound to messages.

    `pool` holds `file` and all that it imports. `shape` is what the service was made from.
    """

    full_name: str
    methods: tuple[BoundMethod, ...]
    pool: DescriptorPool
    file: FileDescriptor
    descriptor: ServiceDescriptor
    shape: ServiceShape
