"""The bytes of Connect and gRPC-Web as messages: protobuf's binary form and its JSON.

What cannot be read is handed on as the error that tells of it, in place of the message: so it is
told like every other error of the call, with its reason and request id, and in our words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from connectrpc.codec import Codec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from bali.errors import BaliError, FieldError, InvalidArgument, ValidationFailed
from bali.rpc.calls import malformed_message
from bali.schemas.decoding import decode_json

__all__ = ["BinaryCodec", "JsonCodec"]

#: How errors of json_format begin in which field they are, the outermost first, or end.
_FIELDS = re.compile(r"(?:Failed to parse \w+ field: )+")
_FIELD = re.compile(r"Failed to parse (\w+) field: ")
_PATH = re.compile(r" at \w+\.([\w.\[\]]+)\Z")


class BinaryCodec(Codec[Message, Any]):
    """Protobuf's binary form."""

    def name(self) -> str:
        """The name in the content type."""
        return "proto"

    def encode(self, message: Message) -> bytes:
        """Return the bytes of a message."""
        return message.SerializeToString()

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """Return the message that bytes hold, or the error for those that hold none."""
        try:
            return message_class.FromString(bytes(data))
        except DecodeError:
            return malformed_message()


class JsonCodec(Codec[Message, Any]):
    """Protobuf's JSON, without spaces; reading takes either form of a field's name.

    `bodies` names the field of a message that errors are relative to; `max_depth` is how deep
    objects and arrays may be nested; `pool` knows the messages in an `Any`.
    """

    def __init__(
        self, *, bodies: Mapping[type[Any], str | None], max_depth: int, pool: Any = None
    ) -> None:
        self._bodies = bodies
        self._pool = pool
        self._max_depth = max_depth

    def name(self) -> str:
        """The name in the content type."""
        return "json"

    def encode(self, message: Message) -> bytes:
        """Return a message as JSON."""
        values = json_format.MessageToDict(message, descriptor_pool=self._pool)
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """Return the message of a JSON document, or the error for what is none of the message."""
        try:
            values = decode_json(bytes(data), max_depth=self._max_depth)
        except BaliError as error:
            return error
        if not isinstance(values, dict):
            return InvalidArgument("The body must be a JSON object", reason="MALFORMED_JSON")
        message = message_class()
        try:
            json_format.ParseDict(
                values,
                message,
                ignore_unknown_fields=True,
                # It counts other levels than `decode_json` does, which has bounded them already.
                max_recursion_depth=4 * self._max_depth,
            )
        except RecursionError:
            return InvalidArgument("The request is nested too deeply", reason="TOO_DEEP")
        except (json_format.ParseError, ValueError, TypeError, AttributeError) as error:
            return self._misfit(str(error), message_class)
        return message

    def _misfit(self, told: str, message_class: type[Any]) -> InvalidArgument:
        name = _place(told)
        body = self._bodies.get(message_class)
        if body:
            name = name.removeprefix(f"{body}.")
        if not name:
            return InvalidArgument(
                "The body is not JSON of this method's request", reason="MALFORMED_MESSAGE"
            )
        wrong = FieldError(
            field=name, reason="MALFORMED_VALUE", description="is not the JSON of this field"
        )
        return ValidationFailed(field_errors=[wrong])


def _place(told: str) -> str:
    begin, end = _FIELDS.match(told), _PATH.search(told)
    if begin:
        return ".".join(_FIELD.findall(begin[0]))
    return end[1] if end else ""
