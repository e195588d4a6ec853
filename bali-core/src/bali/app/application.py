"""Bali: a FastAPI application that also speaks gRPC."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from bali.app.contract import contract_name
from bali.app.databases import prepare_databases
from bali.app.housekeeping import housekeeping
from bali.app.open_operations import refuse_open_operations, warn_of_open_operations
from bali.app.program import run_program
from bali.app.services import AddToServer, Services, adder_of, service_names
from bali.app.stack import Tracing, build_stack
from bali.concurrency import run_in_thread
from bali.database import Database
from bali.database import db as default_database
from bali.errors import ConfigurationError, UnknownRoute
from bali.proto import ServiceShape
from bali.resources import (
    API,
    ActionSpec,
    Admission,
    Authenticator,
    Call,
    Collector,
    Context,
    Pipeline,
    Principal,
    Resource,
    ResourceSpec,
)
from bali.resources.naming import camel, snake
from bali.rest import (
    BEARER_SCHEMES,
    build_openapi,
    install_docs,
    install_errors,
    install_probes,
    resource_router,
    routed_actions,
)
from bali.rpc import shape_of
from bali.server import PeerRegistry, Readiness, Server, ServerOptions
from bali.settings import Settings, current_settings

if TYPE_CHECKING:
    import grpc

    from bali.app.longrunning import AppOperations
    from bali.operations import OperationDesk

__all__ = ["Bali"]

_PACKAGE = re.compile(r"[a-z]\w*(\.[a-z]\w*)*", re.ASCII)
Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


class Bali(FastAPI):
    """An ASGI application that answers its resources over REST, gRPC, Connect and gRPC-Web.

    Whatever FastAPI can do works on it. `title` names the service; the gRPC package and service
    follow from it (`title="user"`: `user.UserService`) unless `package` and `service` say
    otherwise. `resources`: classes, as with `register`. `routers`: FastAPI routers, or mappings
    with the arguments of `include_router`. `authenticator` finds out who calls. `proto`: a compiled
    proto module whose service and messages are to be used (proto first). `databases`: those that
    no model of a resource belongs to. `rpc_service`: an object whose `serve()` is what `--rpc`
    runs instead. `settings`: default, what the environment says. `base_settings` and all further
    arguments are FastAPI's.
    """

    def __init__(
        self,
        *,
        title: str = "bali",
        resources: Iterable[type[Resource]] = (),
        routers: Iterable[Any] = (),
        authenticator: Authenticator | None = None,
        settings: Settings | None = None,
        base_settings: Mapping[str, Any] | None = None,
        backend_cors_origins: Sequence[str] | None = None,
        rpc_service: Any = None,
        event_handler: Any = None,
        proto: Any = None,
        package: str | None = None,
        service: str | None = None,
        databases: Iterable[Database] = (),
        lifespan: Lifespan | None = None,
        docs_url: str | None = "/docs",
        **fastapi: Any,
    ) -> None:
        merged = {"title": title, **dict(base_settings or {}), **fastapi}
        _check_arguments(merged["title"], resources, authenticator)
        super().__init__(docs_url=None, redoc_url=None, lifespan=self._lifespan, **merged)
        self.configuration = settings or current_settings()
        #: Whether the app is started to answer others, who may then not be let in by oversight.
        self.serves_others = True
        self.readiness = Readiness()
        self.peers = PeerRegistry()
        self.authenticator = authenticator
        self._user_lifespan = lifespan
        self.rpc_service = rpc_service
        self._event_handler = event_handler
        self._proto = proto
        name = snake(self.title) or "service"
        if package is None and not _PACKAGE.fullmatch(name):
            raise ConfigurationError(
                f"title {self.title!r} makes no name in protobuf; say which ones to use, as in "
                'Bali(title=..., package="user", service="UserService")'
            )
        self.package = package or name
        self.service = service or f"{camel(name)}Service"
        self.contract_name = contract_name(name, self.package)
        self._collector = Collector()
        self._servicers: list[tuple[AddToServer, Any]] = []
        self._declared_databases = tuple(databases)
        self._operations: AppOperations | None = None
        self._desk: OperationDesk | None = None
        self._pipeline: Pipeline | None = None
        self._tracing: Tracing | None = None
        self._services: Services | None = None
        install_errors(self)
        install_probes(self, lambda: self.readiness.is_ready)
        if docs_url is not None:
            install_docs(self, docs_url=docs_url)
        self.mount(f"/{self._connect_prefix}", _Connect(self, self._connect_prefix), name="connect")
        allowed = self.configuration.backend_cors_origins
        self._cors_origins = allowed if backend_cors_origins is None else backend_cors_origins
        for item in routers:
            self._include(item)
        for resource in resources:
            self.register(resource)
        for declared in API.declared:
            self.register(declared.resource())

    # -- declaring -----------------------------------------------------------------------------

    def register(
        self,
        *resources: type[Resource] | Sequence[type[Resource]],
        with_http: bool = True,
        with_rpc: bool = True,
    ) -> None:
        """Offer resources, classes or lists of them, on every protocol or on one side alone.

        Raises `ConfigurationError` for a class that cannot be served as written, and for a name
        or path that is taken.
        """
        for item in resources:
            for resource in item if isinstance(item, Sequence) else (item,):
                self._register(resource, with_http=with_http, with_rpc=with_rpc)

    def _register(self, resource: type[Resource], *, with_http: bool, with_rpc: bool) -> None:
        self._refuse_when_running(f"register({getattr(resource, '__name__', resource)})")
        spec = self._collector.collect(resource, with_http=with_http, with_rpc=with_rpc)
        if with_http:
            self._route(spec)
        found = _first_long_running(spec.actions)
        if found is not None and self._operations is None:
            self._register_operations(found)

    def _register_operations(self, first: ActionSpec) -> None:
        """Offer the operations of long-running actions to those who start them."""
        from bali.app.longrunning import AppOperations  # noqa: PLC0415 - few apps have such actions
        from bali.operations import SERVICE, served_operations  # noqa: PLC0415 - the same

        self._operations = AppOperations(first)
        self._route(self._collector.collect(self._operations.resource, adapt=served_operations))
        self.mount(f"/{SERVICE}", _Connect(self, SERVICE), name="connect")

    def _route(self, spec: ResourceSpec) -> None:
        depth = self.configuration.max_json_depth
        self.include_router(resource_router(spec, lambda: self.pipeline, max_json_depth=depth))

    def add_servicer(self, servicer: Any, add_to_server: AddToServer | None = None) -> None:
        """Mount a hand-written gRPC servicer, sync or async, on the same server and port.

        `add_to_server` is the function that protoc wrote for it, found by the servicer's base class
        when absent. A servicer for the app's own service takes its place.
        """
        self._refuse_when_running("add_servicer()")
        self._servicers.append((add_to_server or adder_of(servicer), servicer))

    def settings(
        self,
        *,
        base_settings: Mapping[str, Any] | None = None,
        routers: Iterable[Any] = (),
        backend_cors_origins: Sequence[str] | None = None,
        rpc_service: Any = None,
        event_handler: Any = None,
    ) -> None:
        """Say after construction what the constructor's arguments of the same names say."""
        for name, value in (base_settings or {}).items():
            if not hasattr(self, name):
                raise ConfigurationError(f"base_settings: FastAPI has no setting {name!r}")
            setattr(self, name, value)
        for item in routers:
            self._include(item)
        if backend_cors_origins is not None:
            self._cors_origins = backend_cors_origins
        self.rpc_service = rpc_service or self.rpc_service
        self._event_handler = event_handler or self._event_handler

    def _include(self, item: Any) -> None:
        if isinstance(item, Mapping):
            self.include_router(**item)
        else:
            self.include_router(item)

    # -- composed on first use -----------------------------------------------------------------

    @property
    def resources(self) -> tuple[ResourceSpec, ...]:
        """The registered resources with their operations."""
        return tuple(self._collector.resources)

    @property
    def databases(self) -> tuple[Database, ...]:
        """The databases that one call may use, each once; a call is one unit of work on them."""
        found: dict[int, Database] = {}
        registered = [spec.resource for spec in self.resources]
        routed = [action.resource for action in routed_actions(self.routes)]
        for resource in (*registered, *routed):
            store = resource.find_store()
            database = getattr(store, "database", None)
            if isinstance(database, Database):
                found[id(database)] = database
        for database in self._declared_databases:
            found[id(database)] = database
        if not found or default_database.is_used:
            found[id(default_database)] = default_database
        databases = tuple(found.values())
        if self._operations is not None:
            self._operations.declare_table(databases)
        return databases

    @property
    def pipeline(self) -> Pipeline:
        """The way of every call; made when it is first needed, after which nothing registers."""
        if self._pipeline is None:
            limits = self.configuration
            self._open_desk()
            self._pipeline = Pipeline(
                units=[database.unit for database in self.databases],
                authenticator=self.authenticator,
                admission=Admission(
                    max_in_flight=limits.max_in_flight, max_waiting=limits.max_waiting
                ),
                stream_admission=Admission(max_in_flight=limits.max_streams, max_waiting=0),
                max_depth=limits.max_json_depth,
                operations=self._desk,
            )
            for action in self._actions():
                self._pipeline.prepare(action)
        return self._pipeline

    def _open_desk(self) -> None:
        first = _first_long_running(self._actions())
        if first is None:
            return
        if self._operations is None:
            raise ConfigurationError(
                f"{first.place}: lro=True needs its resource to be registered, since the app then "
                "offers the operations too; write app.register(...) besides as_router()"
            )
        from bali.app.longrunning import has_models  # noqa: PLC0415 - few apps have such actions

        databases = self.databases
        self._desk = self._operations.open_desk(
            databases,
            self._actions(),
            service=self._connect_prefix,
            settings=self.configuration,
            has_database=databases[0] is not default_database
            or has_models(default_database)
            or default_database.is_connected
            or self.configuration.database_url is not None,
        )

    @property
    def services(self) -> Services:
        """The gRPC side; made when it is first needed.

        Raises `ConfigurationError` for a resource that cannot be served over gRPC as written, and
        for a proto that does not fit.
        """
        if self._services is None:
            self._services = Services(
                self.resources,
                self.pipeline,
                shape=self._shape,
                contract=self.contract_name,
                stage=self.configuration.stage,
                proto=self._proto,
                servicers=self._servicers,
                readiness=self.readiness,
                peers=self.peers,
                desk=self._desk,
            )
        return self._services

    @property
    def code_first_shape(self) -> ServiceShape | None:
        """The gRPC service as the resources describe it.

        None when a proto or a mounted servicer does that, or nothing is offered over gRPC.
        """
        shape = self._shape
        mounted = {name for _, item in self._servicers for name in service_names(item)}
        is_theirs = self._proto is not None or f"{shape.package}.{shape.name}" in mounted
        return None if is_theirs or not shape.methods else shape

    @property
    def _shape(self) -> ServiceShape:
        return shape_of(self.resources, package=self.package, service=self.service)

    @property
    def _connect_prefix(self) -> str:
        return f"{self.package}.{self.service}"

    def _refuse_when_running(self, what: str) -> None:
        if self._pipeline is not None:
            raise ConfigurationError(f"{what} comes too late: the app has begun to answer calls")

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of plain routes and resources together."""
        if not self.openapi_schema:
            schemes = getattr(self.authenticator, "security_schemes", BEARER_SCHEMES)
            self.openapi_schema = build_openapi(self, self.resources, security_schemes=schemes)
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        """Return the ASGI application: limits, FastAPI's own part, the app's middleware, routes."""
        self._tracing = Tracing(self)
        return build_stack(
            self,
            super().build_middleware_stack,
            max_body_bytes=self.configuration.max_body_bytes,
            cors_origins=self._cors_origins,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: as FastAPI does, or past its telemetry when that is off."""
        stack, tracing = self.middleware_stack, self._tracing
        is_plain = scope["type"] == "http" and not self.root_path
        if is_plain and stack is not None and tracing is not None and tracing.is_off():
            scope["app"] = self
            await stack(scope, receive, send)
            return
        await super().__call__(scope, receive, send)

    # -- in process ----------------------------------------------------------------------------

    async def call(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, str | bytes] | None = None,
        principal: Principal | None = None,
        timeout_seconds: float | None = None,
    ) -> BaseModel | None:
        """Call an operation, such as `"users.get"`, without any protocol between.

        `arguments` are the fields of the request (`{"id": 1}`, `{"user": {...}}`). Raises what the
        caller of another protocol would be told.
        """
        call = self._local_call(operation, arguments, metadata, principal, timeout_seconds)
        return await self.pipeline.run(call)

    async def stream(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, str | bytes] | None = None,
        principal: Principal | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[BaseModel]:
        """Call a streaming operation without any protocol between."""
        call = self._local_call(operation, arguments, metadata, principal, timeout_seconds)
        async for item in self.pipeline.stream(call):
            yield item

    def _actions(self) -> Iterator[ActionSpec]:
        """Every action once: of the registered resources, then those that only have routes."""
        registered = dict.fromkeys(action for spec in self.resources for action in spec.actions)
        yield from registered
        yield from dict.fromkeys(a for a in routed_actions(self.routes) if a not in registered)

    def _local_call(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None,
        metadata: Mapping[str, str | bytes] | None,
        principal: Principal | None,
        timeout_seconds: float | None,
    ) -> Call:
        for action in self._actions():
            if action.operation == operation:
                context = Context.with_timeout(
                    timeout_seconds, metadata=metadata or {}, principal=principal
                )
                return Call(spec=action, arguments=arguments or {}, context=context)
        known = [action.operation for spec in self.resources for action in spec.actions]
        raise ConfigurationError(f"no operation {operation!r}; there are {', '.join(known)}")

    # -- running -------------------------------------------------------------------------------

    def server(self, options: ServerOptions) -> Server:
        """Return a server of this app that has not started."""
        return Server(
            self,
            self._grpc_server,
            options,
            readiness=self.readiness,
            peers=self.peers,
        )

    def _grpc_server(self, options: list[tuple[str, Any]]) -> grpc.aio.Server:
        return self.services.server(options)

    def check_permissions(self) -> None:
        """Return when every operation says who may call it, or does not have to in this stage.

        Raises `ConfigurationError` otherwise; starting does so as well.
        """
        if self.serves_others:
            refuse_open_operations(self._actions(), self.configuration)

    def start(self, argv: Sequence[str] | None = None) -> None:
        """Serve until told to stop; then end the process with its exit code.

        `argv` defaults to the command line: `--http`, `--rpc` (alone on its own port), or all on
        one port; `--host`, `--port`, `--rpc-port`, `--workers`, `--reload`, `--certfile`,
        `--keyfile`, `--client-ca`, `--client-certificates`; `--shell`; `db init`, `db migrate`,
        `db upgrade`.
        """
        sys.exit(run_program(self, sys.argv[1:] if argv is None else argv))

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[Any]:
        _ = self.services  # type: ignore[assignment]  # a mistake shows at start, not in a call
        self.check_permissions()
        if self.serves_others:
            warn_of_open_operations(self._actions(), self.configuration)
        databases = self.databases
        await prepare_databases(self)
        try:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(housekeeping(databases))
                state = None
                if self._user_lifespan is not None:
                    state = await stack.enter_async_context(self._user_lifespan(self))
                if self._operations is not None:
                    await stack.enter_async_context(self._operations.performing(self))
                yield state
        finally:
            await _close_channels()
            for database in databases:
                await database.close()


def _first_long_running(actions: Iterable[ActionSpec]) -> ActionSpec | None:
    return next((action for action in actions if action.work is not None), None)


async def _close_channels() -> None:
    """Close the channels of the app's clients; none is open unless their module is loaded."""
    channels = sys.modules.get("bali.clients.channels")
    if channels is not None:
        await channels.close_async_channels()


def _check_arguments(title: Any, resources: Any, authenticator: Any) -> None:
    if not isinstance(title, str) or not title.strip():
        raise ConfigurationError(
            f'title {title!r} is no name for a service; write it like Bali(title="user", ...)'
        )
    if not isinstance(resources, Iterable) or isinstance(resources, str):
        shown = getattr(resources, "__name__", repr(resources))
        raise ConfigurationError(f"resources is a list of classes; write resources=[{shown}]")
    if authenticator is None:
        return
    if isinstance(authenticator, type) or not callable(
        getattr(authenticator, "authenticate", None)
    ):
        raise ConfigurationError(
            f"authenticator {authenticator!r} is no object with a method `authenticate(context)`; "
            "use BearerAuthenticator(...), StaticTokens(...) or one of your own"
        )


class _Connect:
    """Answers Connect and gRPC-Web; asks the app for its services when the first call comes."""

    def __init__(self, app: Bali, service: str) -> None:
        self._app = app
        self._service = service
        self._connect: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._connect is None:
            limit = self._app.configuration.max_body_bytes
            services = self._app.services
            # The thread also loads the library, which takes longer than others should wait.
            self._connect = await run_in_thread(
                services.connect_app, self._service, max_bytes=limit
            )
        if self._connect is None:
            raise UnknownRoute
        await self._connect(scope, receive, send)
