"""What the entries of the migration page about gRPC do, as programs."""

from __future__ import annotations

__all__ = ["CHECKS"]

CHECKS: dict[str, str] = {
    "grpc.server(..., interceptors=[ProcessInterceptor()])": """
        try:
            ask("GetUsers", limit=-1)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        else:
            raise AssertionError("answered")
    """,
    "ServiceMixin": """
        events = []
        class Service(pb2_grpc.UserServiceServicer, ServiceMixin):
            def setup(self):
                events.append("setup")
            def teardown(self):
                events.append("teardown")
            def GetUser(self, request, context):
                events.append("call")
        Service().GetUser(None, None)
        assert events == ["setup", "call", "teardown"]
    """,
    "GRPCTestBase": """
        class TestUsers(GRPCTestBase):
            server_class = UserService
            pb2, pb2_grpc = pb2, pb2_grpc
        TestUsers.setup_class()
        with grpc.insecure_channel(TestUsers.service_target) as channel:
            stub = TestUsers.pb2_grpc.UserServiceStub(channel)
            assert stub.GetUser(pb2.GetRequest(id=1), timeout=30).data.username == "ann"
        TestUsers.teardown_class()
    """,
    "MessageToDict(message)": """
        from bali.utils import MessageToDict
        assert MessageToDict(pb2.GetRequest(id=2**60)) == {"id": 2**60}
    """,
    "ParseDict(values, message)": """
        from bali.utils import ParseDict
        assert ParseDict({"at": datetime.date(2024, 1, 1)}, Struct())["at"] == "2024-01-01"
    """,
    "ListResponse{data, count}": """
        answer = ask("GetUsers", limit=1)
        assert (len(answer.data), answer.count) == (1, User.io.count())
    """,
    "ItemResponse{data}": "assert ask('GetUser', id=2).data.username == 'bob'",
    "ResultResponse{result}": "assert ask('DeleteUser', id=7).result is True",
    "Content-Encoding: gzip": """
        body = gzip.compress(json.dumps({"username": "zip"}).encode())
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        answer = client_of(app_of(UserResource)).post("/users", content=body, headers=headers)
        assert answer.json()["username"] == "zip"
    """,
}
