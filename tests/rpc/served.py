"""A service without a database, and real servers for it, on the background loop of the process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import uvicorn
from pydantic import BaseModel

from bali.concurrency import run_blocking
from bali.errors import (
    AlreadyExists,
    BaliError,
    FieldError,
    NotFound,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from bali.proto import BoundMethod, build_service, error_from_status
from bali.resources import (
    Collector,
    Context,
    IsAuthenticated,
    Pipeline,
    Principal,
    Resource,
    action,
)
from bali.rpc import ProcessInterceptor, RpcService, shape_of

SECRET = "hunter2"


class Seen(BaseModel):
    """What an action saw of its call."""

    caller: str
    peer: str
    protocol: str
    request_id: str
    seconds: float | None = None
    tags: dict[str, str] = {}
    binary: bytes = b""


class Tick(BaseModel):
    """One item of a stream."""

    number: int


class Told(BaseModel):
    """A text."""

    text: str


class Signals:
    """What happened inside, seen from a test; each signal is set once."""

    def __init__(self) -> None:
        self._events: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> threading.Event:
        with self._lock:
            return self._events.setdefault(name, threading.Event())

    def set(self, name: str) -> None:
        self[name].set()

    def wait(self, name: str) -> bool:
        """Tell whether it happened, within a time that only a failure needs."""
        return self[name].wait(60)


signals = Signals()

#: What `fail` raises, by name.
FAILURES: Mapping[str, Callable[[], Exception]] = {
    "rich": lambda: Unavailable(
        "the printer is on fire",
        reason="PRINTER_ON_FIRE",
        metadata={"printer": "lp0"},
        retry_after_seconds=1.5,
        resource_type="printer",
        resource_name="printers/lp0",
    ),
    "fields": lambda: ValidationFailed(
        field_errors=[FieldError(field="a.b[1]", reason="TOO_LONG", description="is too long")]
    ),
    "exists": lambda: AlreadyExists("there is one"),
    "long": lambda: NotFound("x" * 100_000),
    "foreign": lambda: NotFound("\u4e16\u754c" * 3000),
    "surrogate": lambda: NotFound("no file \udce9"),
    "number": lambda: NotFound(metadata={"count": 3}),  # type: ignore[dict-item]  # a mistake
    "many": lambda: ValidationFailed(
        field_errors=[
            FieldError(field=f"items[{n}]", reason="TOO_LONG", description="x" * 60)
            for n in range(100)
        ]
    ),
    "unexpected": lambda: RuntimeError(f"password {SECRET}"),
}


def failure(kind: str) -> Exception:
    return FAILURES[kind]()


class NoteResource(Resource):
    """Notes, and whatever can happen to a call."""

    @action(methods=["post"])
    async def echo(self, text: str) -> Told:
        """Say it again."""
        return Told(text=text)

    @action(methods=["post"])
    async def look(self) -> Seen:
        """Tell what is known of the call."""
        context = self.context
        await asyncio.sleep(0)
        binary = context.metadata.get("x-blob-bin", b"")
        return Seen(
            caller=context.principal.id if context.principal else "",
            peer=context.peer,
            protocol=context.protocol,
            request_id=context.request_id,
            seconds=context.time_remaining_seconds,
            tags={k: str(v) for k, v in context.metadata.items() if k.startswith("x-tag")},
            binary=binary if isinstance(binary, bytes) else b"text",
        )

    @action(methods=["post"], permission_classes=[IsAuthenticated])
    async def whoami(self) -> Told:
        """Tell who is calling."""
        assert self.context.principal is not None
        first = self.context.principal.id
        await asyncio.sleep(0.005)
        assert self.context.principal.id == first
        return Told(text=first)

    @action(methods=["post"])
    async def fail(self, kind: str) -> Told:
        """Raise what `FAILURES` has."""
        self.context.response_metadata["x-tried"] = "yes"
        raise failure(kind)

    @action(methods=["post"])
    async def headers(self, values: dict[str, str]) -> Told:
        """Send response metadata."""
        self.context.response_metadata.update(values)
        self.context.response_metadata["x-number"] = 5  # type: ignore[assignment]  # a mistake
        return Told(text="")

    @action(methods=["post"])
    async def misfit(self) -> Told:
        """Return what no message can hold."""
        return Told(text=f"\ud800 {SECRET}")

    @action(methods=["post"])
    async def hang(self, mark: str) -> Told:
        """Wait for ever."""
        return await hang(mark)

    @action(methods=["post"])
    def block(self, mark: str) -> Told:
        """Wait for ever, in a thread that waits for the loop."""
        return run_blocking(hang(mark))

    @action(methods=["post"])
    async def ticks(self, count: int, mark: str = "", kind: str = "") -> AsyncIterator[Tick]:
        """Count; then raise what `kind` names, or wait for ever."""
        self.context.response_metadata["x-ticks"] = str(count)
        try:
            for number in range(count):
                yield Tick(number=number)
                signals.set(f"{mark} sent")
            if kind:
                raise failure(kind)
            if mark:
                await hang(mark)
        finally:
            signals.set(f"{mark} closed")

    @action(methods=["post"], permission_classes=[IsAuthenticated])
    async def secrets(self) -> AsyncIterator[Tick]:
        """Count for known callers alone."""
        yield Tick(number=1)


async def hang(mark: str) -> Told:
    signals.set(f"{mark} started")
    try:
        await asyncio.Event().wait()
    finally:
        signals.set(f"{mark} ended")
    return Told(text=mark)


class Tokens:
    """Knows the caller by a bearer token, which is the caller's name."""

    async def authenticate(self, context: Context) -> Principal | None:
        """Return who the token names."""
        given = context.metadata.get("authorization")
        if given is None:
            return None
        kind, _, name = str(given).partition(" ")
        if kind != "Bearer" or not name.startswith("user"):
            raise Unauthenticated("the token is not known")
        await asyncio.sleep(0)
        return Principal(id=name)


class Service:
    """The resource as a service, ready to be served."""

    def __init__(self) -> None:
        self.spec = Collector().collect(NoteResource)
        self.pipeline = Pipeline(authenticator=Tokens())
        shape = shape_of([self.spec], package="notes", service="NoteService")
        self.bound = build_service(shape)
        self.rpc = RpcService(self.bound, [self.spec], self.pipeline)
        self.methods: dict[str, BoundMethod] = {}
        for method in self.bound.methods:
            self.methods[method.name.removesuffix("Notes").lower()] = method


service = Service()


def message(name: str, **values: Any) -> Any:
    """Return a request of a method."""
    return service.methods[name].encode_request(values)


def unary(channel: Any, name: str) -> Any:
    """Return the stub of a method, of a sync or an async channel."""
    method = service.methods[name]
    make = channel.unary_stream if method.is_server_streaming else channel.unary_unary
    return make(
        method.path,
        request_serializer=method.input_type.SerializeToString,
        response_deserializer=method.output_type.FromString,
    )


@contextmanager
def aio_server(
    *handlers: grpc.GenericRpcHandler,
    interceptors: Sequence[Any] = (),
    prepare: Callable[[grpc.aio.Server], None] | None = None,
    threads: int = 4,
) -> Iterator[str]:
    """Run a `grpc.aio` server and give its address."""

    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server(
            interceptors=list(interceptors), migration_thread_pool=ThreadPoolExecutor(threads)
        )
        server.add_generic_rpc_handlers(handlers)
        if prepare is not None:
            prepare(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = run_blocking(start())
    try:
        yield f"127.0.0.1:{port}"
    finally:
        run_blocking(server.stop(None))


@contextmanager
def plain_server(
    *handlers: grpc.GenericRpcHandler, interceptor: Any = None, threads: int = 4
) -> Iterator[str]:
    """Run a plain `grpc.server` with `ProcessInterceptor` and give its address."""
    chosen = ProcessInterceptor(service.pipeline) if interceptor is None else interceptor
    pool = ThreadPoolExecutor(threads)
    server = grpc.server(pool, interceptors=[chosen] if chosen else [])
    server.add_generic_rpc_handlers(handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
        pool.shutdown()


@contextmanager
def http_server(app: Any, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Run an ASGI application on uvicorn and give its address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)

        async def start() -> asyncio.Task[None]:
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.01)
            return task

        async def stop() -> None:
            server.should_exit = True
            await task

        task = run_blocking(start())
        port = listener.getsockname()[1]
        try:
            yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        finally:
            run_blocking(stop())


def error_of(call: Callable[[], Any]) -> BaliError:
    """Return the error that a gRPC call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return told_by(error)
    raise AssertionError("the call did not fail")


def told_by(error: Any) -> BaliError:
    """Return the error that grpcio's error tells of."""
    details = trailers_of(error).get("grpc-status-details-bin")
    return error_from_status(error.code().value[0], error.details() or "", details)


def trailers_of(call: Any) -> dict[str, Any]:
    """Return the trailing metadata of a sync call or error."""
    return {item[0]: item[1] for item in call.trailing_metadata() or ()}
