"""Hand-written servicers over resources: on the app's port, and in a plain gRPC server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import httpx2
import pytest

from bali import Bali, ConfigurationError, IsAuthenticated, ProcessInterceptor, StaticTokens
from bali.errors import Code
from bali.proto import error_from_status
from bali.settings import Settings, Stage
from bali.testing import live_server
from tests.app.library import BookResource, db

pytestmark = pytest.mark.usefixtures("library")


class GuardedBookResource(BookResource):
    """The same books, for known callers."""

    name = "book"
    permission_classes = (IsAuthenticated,)


def sync_servicer(pb2: Any, pb2_grpc: Any, resource: Any = BookResource) -> Any:
    class LibraryService(pb2_grpc.LibraryServiceServicer):  # type: ignore[misc]  # made at run time
        def GetBooks(self, request: Any, context: Any) -> Any:
            return resource(request, context, pb2.BooksResponse).get_books()

        def CreateBook(self, request: Any, context: Any) -> Any:
            return resource(request, context, pb2.BookResponse).create_book()

        def Fail(self, request: Any, context: Any) -> Any:
            raise RuntimeError("internal secret")

    return LibraryService()


def async_servicer(pb2: Any, pb2_grpc: Any) -> Any:
    class LibraryService(pb2_grpc.LibraryServiceServicer):  # type: ignore[misc]  # made at run time
        async def GetBooks(self, request: Any, context: Any) -> Any:
            return await BookResource(request, context, pb2.BooksResponse).get_books()

        async def CreateBook(self, request: Any, context: Any) -> Any:
            return await BookResource(request, context, pb2.BookResponse).create_book()

        async def Fail(self, request: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "said on purpose")

    return LibraryService()


def app_with(*resources: Any, **options: Any) -> Bali:
    return Bali(
        title="library",
        resources=resources,
        databases=[db],
        settings=Settings(stage=Stage.TEST),
        **options,
    )


@contextmanager
def plain_server(servicer: Any, pb2_grpc: Any) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(50), interceptors=[ProcessInterceptor()])
    pb2_grpc.add_LibraryServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def check_books(stub: Any, pb2: Any) -> None:
    created = [stub.CreateBook(pb2.CreateBookRequest(title=f"b{n}")).data for n in range(3)]
    assert [book.title for book in created] == ["b0", "b1", "b2"]
    page = stub.GetBooks(pb2.GetBooksRequest(limit=2, offset=1))
    assert [book.id for book in page.data] == [created[1].id, created[2].id]
    assert page.count == 3


def error_of(call: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    return error_from_status(error.code().value[0], error.details(), details)


@pytest.mark.parametrize("make", [sync_servicer, async_servicer])
def test_a_servicer_for_the_apps_service_takes_its_place(stubs: tuple[Any, Any], make: Any) -> None:
    pb2, pb2_grpc = stubs
    app = app_with(BookResource)
    app.add_servicer(make(pb2, pb2_grpc))
    with live_server(app) as live, grpc.insecure_channel(live.address) as channel:
        check_books(pb2_grpc.LibraryServiceStub(channel), pb2)
        assert len(httpx2.get(f"{live.url}/books").json()["items"]) == 3


def test_a_servicer_of_another_service_stands_beside_it(stubs: tuple[Any, Any]) -> None:
    pb2, pb2_grpc = stubs

    class Other(pb2_grpc.OtherServiceServicer):  # type: ignore[misc, name-defined]  # made at run time
        async def GetBooks(self, request: Any, context: Any) -> Any:
            del request, context
            return pb2.BooksResponse(count=41)

    app = app_with(BookResource)
    app.add_servicer(Other(), pb2_grpc.add_OtherServiceServicer_to_server)
    with live_server(app) as live, grpc.insecure_channel(live.address) as channel:
        answer = pb2_grpc.OtherServiceStub(channel).GetBooks(pb2.GetBooksRequest())
        assert answer.count == 41
    assert app.services.names == ("library.LibraryService", "library.OtherService")


def test_errors_of_a_servicer_are_rich_and_show_nothing(stubs: tuple[Any, Any]) -> None:
    pb2, pb2_grpc = stubs
    app = app_with(BookResource)
    app.add_servicer(sync_servicer(pb2, pb2_grpc))
    with live_server(app) as live, grpc.insecure_channel(live.address) as channel:
        stub = pb2_grpc.LibraryServiceStub(channel)
        failed = error_of(lambda: stub.Fail(pb2.GetBooksRequest()))
        assert failed.code is Code.INTERNAL
        assert "secret" not in failed.detail
        refused = error_of(lambda: stub.CreateBook(pb2.CreateBookRequest(title="x" * 81)))
        assert [item.field for item in refused.field_errors] == ["title"]


def test_what_abort_says_stays(stubs: tuple[Any, Any]) -> None:
    pb2, pb2_grpc = stubs
    app = app_with(BookResource)
    app.add_servicer(async_servicer(pb2, pb2_grpc))
    with live_server(app) as live, grpc.insecure_channel(live.address) as channel:
        stub = pb2_grpc.LibraryServiceStub(channel)
        failed = error_of(lambda: stub.Fail(pb2.GetBooksRequest()))
        assert (failed.code, failed.detail) == (Code.ALREADY_EXISTS, "said on purpose")


def test_permissions_hold_for_resources_in_servicers(stubs: tuple[Any, Any]) -> None:
    pb2, pb2_grpc = stubs
    app = app_with(GuardedBookResource, authenticator=StaticTokens({"t": "ann"}))
    app.add_servicer(sync_servicer(pb2, pb2_grpc, GuardedBookResource))
    with live_server(app) as live, grpc.insecure_channel(live.address) as channel:
        stub = pb2_grpc.LibraryServiceStub(channel)
        assert error_of(lambda: stub.GetBooks(pb2.GetBooksRequest())).code is Code.UNAUTHENTICATED
        known = (("authorization", "Bearer t"),)
        assert stub.GetBooks(pb2.GetBooksRequest(), metadata=known).count == 0


def test_a_plain_grpc_server_with_the_interceptor(stubs: tuple[Any, Any]) -> None:
    pb2, pb2_grpc = stubs
    with (
        plain_server(sync_servicer(pb2, pb2_grpc), pb2_grpc) as address,
        grpc.insecure_channel(address) as channel,
    ):
        stub = pb2_grpc.LibraryServiceStub(channel)
        check_books(stub, pb2)
        failed = error_of(lambda: stub.Fail(pb2.GetBooksRequest()))
        assert failed.code is Code.INTERNAL
        assert "secret" not in failed.detail
        with ThreadPoolExecutor(50) as threads:
            calls = [threads.submit(stub.GetBooks, pb2.GetBooksRequest()) for _ in range(200)]
            assert {call.result().count for call in calls} == {3}


def test_proto_first_binds_the_resource_to_the_messages(stubs: tuple[Any, Any]) -> None:
    pb2, _ = stubs

    class ProtoBookResource(BookResource):
        name = "book"
        actions = ("create",)

    app = app_with(ProtoBookResource, proto=pb2)
    with live_server(app) as live, grpc.insecure_channel(live.address) as channel:
        create = channel.unary_unary(
            "/library.LibraryService/CreateBook",
            request_serializer=pb2.CreateBookRequest.SerializeToString,
            response_deserializer=pb2.BookResponse.FromString,
        )
        assert create(pb2.CreateBookRequest(title="bound")).data.title == "bound"


def test_a_proto_that_lacks_a_method_is_refused_at_start(stubs: tuple[Any, Any]) -> None:
    pb2, _ = stubs
    app = app_with(BookResource, proto=pb2)
    with pytest.raises(ConfigurationError, match=r"library\.proto.*has no method"):
        _ = app.services


def test_an_object_that_is_no_servicer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not a gRPC servicer"):
        app_with(BookResource).add_servicer(object())
