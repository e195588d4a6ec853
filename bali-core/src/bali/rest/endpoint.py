"""One HTTP binding of one action: from an ASGI request to a response, through the pipeline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from urllib.parse import quote

from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope

from bali.errors import BaliError, Cancelled, Internal, problem_members
from bali.resources import ActionSpec, Call, Context, HttpBinding, Kind, Operation, Pipeline, Wrap
from bali.rest.answers import JSON_TYPE, WireResponse
from bali.rest.arguments import ArgumentReader
from bali.rest.disconnect import DisconnectGuard, has_signal
from bali.rest.headers import PeerOf, RawHeaders, new_context, request_id_of, response_headers
from bali.rest.preconditions import add_preconditions, is_known
from bali.rest.problems import dumps, is_left_to_user, log_unexpected, problem
from bali.rest.streams import StreamResponse, format_of
from bali.schemas.payload import Encoder, encoder_for
from bali.schemas.rows import page_encoder

__all__ = ["RAISED", "ActionEndpoint", "PipelineOf", "ReadBody", "read_body"]

#: The key of a scope under which an error waits for the app's own handlers.
RAISED = "bali.raised"

ReadBody = Callable[[], Awaitable[bytes]]
#: Finds the pipeline for a request, given its ASGI scope.
PipelineOf = Callable[[Scope], Pipeline]


class ActionEndpoint:
    """Answers the requests of one binding; made at start, used by any number of requests."""

    def __init__(
        self,
        spec: ActionSpec,
        binding: HttpBinding,
        pipeline: PipelineOf,
        *,
        peer: PeerOf,
        max_json_depth: int,
    ) -> None:
        self.spec = spec
        self.binding = binding
        self._pipeline = pipeline
        self._peer = peer
        self._arguments = ArgumentReader(spec, binding, max_json_depth=max_json_depth)
        self._encode = _encoder_of(spec)
        self._encode_item = self._encode or _encode_nothing
        self._key_name = _key_name(spec)

    async def answer(
        self,
        scope: Scope,
        receive: Receive,
        read: ReadBody | None = None,
        *,
        ignored_query: frozenset[str] = frozenset(),
    ) -> Response:
        """Return the response to a request; `read` returns its body, if others may have read it.

        Raises `BaliError` only when the app has a handler of its own for it. `ignored_query` are
        query keys that belong to dependencies of the route.
        """
        context: Context | None = None
        try:
            context = new_context(scope, self._peer)
            body = b""
            if self.binding.body is not None:
                body = await (read_body(receive) if read is None else read())
            arguments = self._arguments.read(
                scope["path_params"],
                scope["query_string"],
                _text(context.metadata.get("content-type")) if body else None,
                body,
                ignored=ignored_query,
            )
            if self.spec.reserved:
                add_preconditions(arguments, context.metadata, self.spec.reserved)
            call = Call(spec=self.spec, arguments=arguments, context=context)
            if self.spec.is_streaming:
                return self._stream(scope, call)
            run = self._pipeline(scope).run
            if has_signal(scope):
                return self._response(scope, await run(call), context)
            with DisconnectGuard(scope, receive):
                return self._response(scope, await run(call), context)
            # The guard has ended the call of a client that has gone.
            raise Cancelled  # noqa: TRY301 - it is answered like any error
        except Exception as error:  # noqa: BLE001 - everything becomes a problem or is raised
            request_id = request_id_of(scope)
            outward = self._outward(scope, error, request_id)
            return problem(outward, request_id, headers=_metadata_headers(context))

    def _outward(self, scope: Scope, error: Exception, request_id: str) -> BaliError:
        if not isinstance(error, BaliError):
            log_unexpected(self.spec.operation, request_id, error)
            return Internal()
        if is_left_to_user(scope, error):
            raise error
        return error

    def _response(self, scope: Scope, result: BaseModel | None, context: Context) -> Response:
        headers = [(b"x-request-id", context.request_id.encode("ascii"))]
        body = b""
        status = self.binding.status
        if result is not None and self._encode is not None:
            body = self._encode(result)
            headers.append((b"content-type", JSON_TYPE))
        elif status != 204:  # noqa: PLR2004 - the status without a body
            body = b"{}"
            headers.append((b"content-type", JSON_TYPE))
        if self._key_name is not None and not context.validate_only:
            headers.append((b"location", self._location(scope, result)))
        elif isinstance(result, Operation) and self.spec.work is not None:
            place = f"{scope.get('root_path', '')}/{result.name}"
            headers.append((b"location", quote(place).encode("ascii")))
        if context.response_metadata:
            headers += response_headers(context.response_metadata)
        if context.etag:
            headers.append((b"etag", context.etag.encode("latin-1", "replace")))
            if self.spec.kind is Kind.GET and is_known(context):
                return WireResponse(304, b"", headers)
        return WireResponse(status, body, headers)

    def _location(self, scope: Scope, result: BaseModel | None) -> bytes:
        root, path = scope.get("root_path", ""), scope["path"]
        if root and not path.startswith(root):
            path = root + path
        key = quote(str(getattr(result, str(self._key_name))), safe="")
        return f"{quote(path.rstrip('/'))}/{key}".encode("ascii")

    def _stream(self, scope: Scope, call: Call) -> Response:
        context = call.context
        request_id = context.request_id

        def refuse(error: Exception, *, is_started: bool) -> tuple[bytes, Response]:
            if isinstance(error, BaliError) and is_started:
                outward = error
            else:
                outward = self._outward(scope, error, request_id)
            response = problem(outward, request_id, headers=_metadata_headers(context))
            return dumps(problem_members(outward, request_id)), response

        def headers() -> RawHeaders:
            own = (b"x-request-id", request_id.encode("ascii"))
            return [own, *_metadata_headers(context)]

        accept = _text(context.metadata.get("accept"))
        return StreamResponse(
            aclosing(self._pipeline(scope).stream(call)),
            self._encode_item,
            stream_format=format_of(accept),
            headers=headers,
            refuse=refuse,
        )


def _encoder_of(spec: ActionSpec) -> Encoder | None:
    model = spec.response_model
    if spec.wrap is not Wrap.PAGE or model is None or "items" not in model.model_fields:
        return encoder_for(spec.response, model)
    return page_encoder(spec.response, model)


def _encode_nothing(_: BaseModel) -> bytes:
    return b"{}"


def _text(value: str | bytes | None) -> str | None:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _metadata_headers(context: Context | None) -> RawHeaders:
    if context is None or not context.response_metadata:
        return []
    return response_headers(context.response_metadata)


def _key_name(spec: ActionSpec) -> str | None:
    """Return the attribute of a created item that its address ends with."""
    model = spec.response_model
    if spec.kind is not Kind.CREATE or model is None:
        return None
    store = spec.resource.find_store()
    name = store.key_name if store is not None else "id"
    return name if name in model.model_fields else None


async def read_body(receive: Receive) -> bytes:
    """Return a request's whole body. Raises `Cancelled` when the client leaves before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Cancelled
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return b"".join([*parts, body]) if parts else body
        parts.append(body)


async def left_early(read: ReadBody) -> bytes:
    """Return what `read` does, with Starlette's error for a client that left as `Cancelled`."""
    try:
        return await read()
    except ClientDisconnect as error:
        raise Cancelled from error
