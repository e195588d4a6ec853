"""From an HTTP request to the arguments of a call, by one binding (google.api.http)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from bali.errors import FieldError, InvalidArgument, ValidationFailed
from bali.resources import ActionSpec, HttpBinding
from bali.resources.read_masks import READ_MASK
from bali.rest.decoding import check_content_type
from bali.schemas import Field, ListNode, Scalar, ScalarKind
from bali.schemas.decoding import decode_json
from bali.schemas.payload import BytesDecoder, has_bytes

__all__ = ["PATH_SLASH", "ArgumentReader", "parse_query", "takes_fields"]

#: Stands for an encoded slash within one segment of a decoded path; no server decodes to it.
PATH_SLASH = "\udfff"


class ArgumentReader:
    """Reads the arguments of one action from requests of one of its bindings."""

    def __init__(self, spec: ActionSpec, binding: HttpBinding, *, max_json_depth: int) -> None:
        self.path_names = binding.path_names
        self.body = binding.body
        self._max_json_depth = max_json_depth
        own = [field for field in spec.request.fields if field.wire_name not in self.path_names]
        self.body_field = next((field for field in own if field.wire_name == self.body), None)
        #: The fields that the query string holds.
        self.query_fields: tuple[Field, ...] = ()
        if self.body != "*":
            self.query_fields = tuple(field for field in own if field is not self.body_field)
        self._masks = frozenset(f.wire_name for f in self.query_fields if _is_mask(f))
        self._lists = self._masks | {
            field.wire_name for field in self.query_fields if isinstance(field.node, ListNode)
        }
        self._request_fields = spec.request.fields
        #: Other names of query keys.
        self._former = {"fields": READ_MASK} if takes_fields(spec) else {}
        self._bytes = BytesDecoder() if has_bytes(spec.request) else None

    def read(
        self,
        path_params: Mapping[str, Any],
        query_string: bytes,
        content_type: str | None,
        body: bytes,
        *,
        ignored: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        """Return the arguments by wire name; what was not sent is absent.

        `ignored` are query keys that somebody else reads, such as a FastAPI dependency. Raises
        `InvalidArgument` for a request that cannot be read at all, `UnsupportedMedia` for a body
        that is not JSON, and `ValidationFailed` for keys that are in the wrong place.
        """
        errors: list[FieldError] = []
        arguments: dict[str, Any] = {}
        if query_string:
            arguments = self._query(query_string, ignored, errors)
        if body and self.body is not None:
            check_content_type(content_type)
            self._take_body(decode_json(body, max_depth=self._max_json_depth), arguments, errors)
        for name in self.path_names:
            arguments[name] = str(path_params[name]).replace(PATH_SLASH, "/")
        if self._bytes is not None:
            arguments = self._with_bytes(self._bytes, arguments, errors)
        if errors:
            raise ValidationFailed(field_errors=errors)
        return arguments

    def _query(
        self, query_string: bytes, ignored: frozenset[str], errors: list[FieldError]
    ) -> dict[str, Any]:
        values: dict[str, list[str]] = {}
        for name, value in parse_query(query_string):
            if name not in ignored:
                values.setdefault(self._former.get(name, name), []).append(value)
        arguments: dict[str, Any] = {}
        for name, given in values.items():
            if self.body == "*":
                errors.append(_wrong(name, "UNKNOWN_FIELD", "belongs into the body"))
            elif name in self.path_names:
                errors.append(_wrong(name, "UNKNOWN_FIELD", "is given by the path"))
            elif name == self.body:
                errors.append(_wrong(name, "UNKNOWN_FIELD", "is the body"))
            elif name in self._masks:
                arguments[name] = ",".join(given)
            elif name in self._lists:
                arguments[name] = given
            elif len(given) > 1:
                errors.append(_wrong(name, "DUPLICATE_KEY", "is given more than once"))
            else:
                arguments[name] = given[0]
        return arguments

    def _take_body(self, value: Any, arguments: dict[str, Any], errors: list[FieldError]) -> None:
        if not isinstance(value, dict):
            raise ValidationFailed(
                "The body must be a JSON object",
                field_errors=[_wrong("", "OBJECT_TYPE", "must be an object")],
            )
        if self.body != "*":
            arguments[str(self.body)] = value
            return
        errors += [
            _wrong(name, "UNKNOWN_FIELD", "is given by the path")
            for name in self.path_names
            if name in value
        ]
        arguments.update(value)

    def _with_bytes(
        self, decoder: BytesDecoder, arguments: dict[str, Any], errors: list[FieldError]
    ) -> dict[str, Any]:
        field = self.body_field
        decoded = decoder.fields(
            tuple(item for item in self._request_fields if item is not field), arguments, "", errors
        )
        if field is not None and field.wire_name in decoded:
            # The fields of a body are named relative to it.
            value = decoder.decode(field.node, decoded[field.wire_name], "", errors)
            decoded[field.wire_name] = value
        return decoded


def takes_fields(spec: ActionSpec) -> bool:
    """Tell whether `fields` in the query is another name of the read mask."""
    own = {field.wire_name for field in spec.request.fields}
    return spec.read_masks is not None and "fields" not in own


def parse_query(query_string: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a query string (WHATWG URL, application/x-www-form-urlencoded).

    Raises `InvalidArgument` for bytes that are not UTF-8.
    """
    pairs: list[tuple[str, str]] = []
    for part in query_string.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append((_unquote(name), _unquote(value)))
    return pairs


def _unquote(raw: bytes) -> str:
    try:
        if b"%" in raw or b"+" in raw:
            return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            "The query string is not UTF-8 in percent-encoding", reason="MALFORMED_QUERY"
        ) from error


def _is_mask(field: Field) -> bool:
    return isinstance(field.node, Scalar) and field.node.kind is ScalarKind.FIELD_MASK


def _wrong(field: str, reason: str, description: str) -> FieldError:
    return FieldError(field=field, reason=reason, description=description)
