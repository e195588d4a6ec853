"""A test class that serves a hand-written servicer, as users of the first bali write it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import grpc

from bali.app.services import adder_of
from bali.errors import ConfigurationError
from bali.rpc import ProcessInterceptor

__all__ = ["GRPCTestBase"]

_THREADS = 10


class GRPCTestBase:
    """Serves `server_class` on the loopback address while the tests of a class run.

    ```python
    class TestUserService(GRPCTestBase):
        server_class = UserService
        pb2 = user_pb2
        pb2_grpc = user_pb2_grpc

        def test_get_users(self):
            with grpc.insecure_channel(self.service_target) as channel:
                stub = self.pb2_grpc.UserServiceStub(channel)
                ...
    ```

    `port` is 0 for a free one; `service_target` is the address once the server runs.
    """

    server_class: ClassVar[Any] = None
    pb2: ClassVar[Any] = None
    pb2_grpc: ClassVar[Any] = None
    port: ClassVar[int] = 0
    service_target: ClassVar[str] = ""
    server: ClassVar[Any] = None

    @classmethod
    def setup_class(cls) -> None:
        """Start the server. Raises `ConfigurationError` without a servicer or with a taken port."""
        if cls.server_class is None:
            raise ConfigurationError(
                f"{cls.__name__} has no servicer; write `server_class = UserService` in it"
            )
        servicer = cls.server_class()
        add_to_server = adder_of(servicer)
        server = grpc.server(ThreadPoolExecutor(_THREADS), interceptors=[ProcessInterceptor()])
        add_to_server(servicer, server)
        try:
            port = server.add_insecure_port(f"127.0.0.1:{cls.port}")
        except RuntimeError as error:
            raise ConfigurationError(
                f"{cls.__name__}: port {cls.port} is taken; leave `port` out for a free one"
            ) from error
        server.start()
        cls.server = server
        cls.service_target = f"127.0.0.1:{port}"

    @classmethod
    def teardown_class(cls) -> None:
        """Stop the server at once."""
        if cls.server is not None:
            cls.server.stop(None).wait()
            cls.server = None
