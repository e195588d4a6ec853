"""GRPCTestBase: a servicer served while the tests of a class run."""

from __future__ import annotations

import socket
from typing import Any

import grpc
import pytest

from bali.errors import ConfigurationError
from bali.testing import GRPCTestBase
from tests.app.library import BookResource, compile_protos, db


@pytest.fixture(scope="module", autouse=True)
def books(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("books")
    TestLibrary.pb2, TestLibrary.pb2_grpc = compile_protos(folder)
    TestLibrary.server_class = servicer_class(TestLibrary.pb2, TestLibrary.pb2_grpc)
    db.connect(f"sqlite:///{folder / 'books.sqlite3'}")
    db.create_all()


def servicer_class(pb2: Any, pb2_grpc: Any) -> Any:
    class LibraryService(pb2_grpc.LibraryServiceServicer):  # type: ignore[misc]  # made at run time
        def CreateBook(self, request: Any, context: Any) -> Any:
            return BookResource(request, context, pb2.BookResponse).create_book()

    return LibraryService


class TestLibrary(GRPCTestBase):
    def test_the_servicer_answers(self) -> None:
        with grpc.insecure_channel(self.service_target) as channel:
            stub = self.pb2_grpc.LibraryServiceStub(channel)
            created = stub.CreateBook(self.pb2.CreateBookRequest(title="b"), timeout=30)
        assert created.data.title == "b"


def test_a_class_without_a_servicer_is_refused() -> None:
    class TestNothing(GRPCTestBase):
        pass

    with pytest.raises(ConfigurationError, match="TestNothing has no servicer; write `server_cl"):
        TestNothing.setup_class()


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:

        class TestTaken(TestLibrary):
            port = taken.getsockname()[1]

        with pytest.raises(ConfigurationError, match=f"port {TestTaken.port} is taken; leave"):
            TestTaken.setup_class()
