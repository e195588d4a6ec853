"""One method of a service as its client sees it, and the shape of its requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypedDict

from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from pydantic import ValidationError

from bali.clients.codec import codec_of
from bali.clients.schema import UNSET, Schema
from bali.errors import FieldError, ValidationFailed

__all__ = ["CallOptions", "Method", "OperationShape", "check_call"]

#: A schema, a message that is its own form (`google.protobuf.StringValue`), or None for an `Empty`.
Shape = type[Schema] | type[Message] | None


class CallOptions(TypedDict, total=False):
    """What any call may be told besides its request.

    `timeout`: seconds, None for as long as our own caller waits. `metadata`: to send with this
    call. `fail_silently`: answer with an empty response instead of an error. `cache_timeout`: use
    an answer for so many seconds. `refresh`: ask anew, and keep that answer.
    """

    timeout: float | None
    metadata: Mapping[str, str | bytes]
    fail_silently: bool
    cache_timeout: float
    refresh: bool


_CALL_OPTIONS: frozenset[str] = CallOptions.__optional_keys__


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperationShape:
    """What the operations of a long-running method end with, and what they tell meanwhile."""

    result: Shape
    metadata: Shape = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Method:
    """A method: its path (`/user.UserService/GetUser`) and its two shapes.

    `is_idempotent`: it may be tried again when nobody knows whether it was carried out.
    `operation`: it is long-running, and answers with a `google.longrunning.Operation`.
    """

    name: str
    path: str
    request: Shape
    response: Shape
    is_client_streaming: bool = False
    is_server_streaming: bool = False
    is_idempotent: bool = False
    operation: OperationShape | None = None

    def encode(self, request: Any, given: Mapping[str, Any]) -> Message:
        """Return the message of a call: of a schema, a mapping, or keyword arguments.

        Raises `ValidationFailed` for values of the wrong type and names that do not exist, and
        `TypeError` for a request and keyword arguments together.
        """
        arguments = {name: value for name, value in given.items() if value is not UNSET}
        shape = self.request
        if request is not None and arguments:
            raise TypeError(
                f"{self.name} takes a request or keyword arguments, not both; found "
                f"{', '.join(arguments)} beside {type(request).__name__}"
            )
        if shape is None:
            return Empty()
        if not issubclass(shape, Schema):
            return self._as_it_is(shape, request)
        if request is None:
            request = self._schema(shape, arguments)
        elif isinstance(request, Mapping):
            request = self._schema(shape, request)
        elif isinstance(request, shape.message_type):
            return request
        elif not isinstance(request, shape):
            raise TypeError(f"{self.name} takes a {shape.__name__}, found {type(request).__name__}")
        message = codec_of(shape).to_message(request)
        _mask_what_is_cleared(request, message)
        return message

    def decode(self, message: Message) -> Any:
        """Return the answer that a message holds; None for an `Empty`."""
        if self.operation is not None:
            return message
        shape = self.response
        if shape is None:
            return None
        return codec_of(shape).to_schema(message) if issubclass(shape, Schema) else message

    def empty_answer(self) -> Any:
        """Return an answer in which nothing is set."""
        if self.operation is not None:
            return operations_pb2.Operation()
        return None if self.response is None else self.response()

    @property
    def request_type(self) -> type[Message]:
        """The class of request messages."""
        return _message_type(self.request)

    @property
    def response_type(self) -> type[Message]:
        """The class of response messages."""
        if self.operation is not None:
            return operations_pb2.Operation  # type: ignore[no-any-return]  # it ships no types
        return _message_type(self.response)

    def _as_it_is(self, shape: type[Message], request: Any) -> Message:
        if request is None:
            return shape()
        if isinstance(request, shape):
            return request
        raise TypeError(f"{self.name} takes a {shape.__name__}, found {type(request).__name__}")

    def _schema(self, shape: type[Schema], values: Mapping[str, Any]) -> Schema:
        try:
            return shape.model_validate(dict(values))
        except ValidationError as error:
            raise ValidationFailed(
                f"the request of {self.name} has fields that are wrong",
                field_errors=[
                    FieldError(
                        field=".".join(map(str, item["loc"])) or "request",
                        reason=str(item["type"]).upper(),
                        description=str(item["msg"]),
                    )
                    for item in error.errors(include_url=False, include_context=False)
                ],
            ) from error


def check_call(method: Method, call: Mapping[str, Any]) -> None:
    """Raise `TypeError` for a keyword that is neither a field of the request nor an option."""
    if not call.keys() <= _CALL_OPTIONS:
        unknown = min(call.keys() - _CALL_OPTIONS)
        fields = getattr(method.request, "model_fields", ())
        names = [*fields, *sorted(_CALL_OPTIONS)]
        close = get_close_matches(unknown, names, n=1)
        hint = f"do you mean {close[0]}?" if close else f"it has {', '.join(names)}"
        raise TypeError(f"{method.name} has no argument {unknown!r}; {hint}")


def _mask_what_is_cleared(request: Schema, message: Any) -> None:
    """Put the fields of an update into its mask when one is None (AIP-134, AIP-161).

    A null has no form in a message: only the mask tells a field to clear from one to leave alone.
    """
    if "update_mask" not in type(request).model_fields or "update_mask" in request.model_fields_set:
        return
    bodies = [
        body
        for name in request.model_fields_set
        if isinstance(body := getattr(request, name), Schema)
    ]
    if len(bodies) != 1:
        return
    (body,) = bodies
    if any(getattr(body, name) is None for name in body.model_fields_set):
        fields = type(body).model_fields
        message.update_mask.paths.extend(
            sorted(fields[name].alias or name for name in body.model_fields_set)
        )


def _message_type(shape: Shape) -> type[Message]:
    if shape is None:
        return Empty
    return shape.message_type if issubclass(shape, Schema) else shape
