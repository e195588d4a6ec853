"""What the entries of the migration page about resources do, as programs."""

from __future__ import annotations

__all__ = ["CHECKS"]

_STANDARD = """
    app = app_of(UserResource)
    names = {action.name for action in app.resources[0].actions}
    assert UserResource.action_name("%s") in names
"""

CHECKS: dict[str, str] = {
    "Resource": """
        class PingResource(Resource):
            @action()
            def ping(self) -> str:
                return "pong"
        assert client_of(app_of(PingResource)).get("/pings/ping").json() == {"result": "pong"}
    """,
    "ModelResource": """
        listed = client_of(app_of(UserResource)).get("/users", params={"limit": 1}).json()
        assert [item["username"] for item in listed["items"]] == ["ann"]
    """,
    "model": "assert UserResource.find_store().model is User",
    "schema": """
        class NamedResource(Resource):
            name = "user"
            schema = model_to_schema(User, exclude=["age"])
        assert "age" not in client_of(app_of(NamedResource)).get("/users/1").json()
    """,
    "filters": """
        class FilteredResource(UserResource):
            name = "user"
            filters = [{"username": str}, "age__gte"]
        client = client_of(app_of(FilteredResource))
        assert len(client.get("/users", params={"username": "ann"}).json()["items"]) == 1
        assert client.get("/users", params={"age__gte": 99}).json()["items"] == []
    """,
    "permission_classes": """
        class GuardedResource(UserResource):
            name = "user"
            permission_classes = [IsAuthenticated]
        assert client_of(app_of(GuardedResource)).get("/users").status_code == 401
    """,
    "http_endpoint": """
        class PlacedResource(UserResource):
            name = "user"
            http_endpoint = "people"
        assert client_of(app_of(PlacedResource)).get("/people/1").status_code == 200
    """,
    "name": """
        class PersonResource(UserResource):
            name = "person"
        assert PersonResource.endpoint() == "/people" or PersonResource.endpoint() == "/persons"
    """,
    "@action(methods=, detail=, http_only=, rpc_only=)": """
        class ActingResource(UserResource):
            name = "user"
            @action(methods=["post"], detail=True, http_only=True)
            def greet(self, pk) -> str:
                return f"hi {pk}"
            @action(rpc_only=True)
            def hidden(self) -> str:
                return "only rpc"
        app = app_of(ActingResource)
        assert client_of(app).post("/users/1/greet").json() == {"result": "hi 1"}
        methods = {method.name for method in app.services.bound.methods}
        assert "HiddenUsers" in methods and "GreetUser" not in methods
    """,
    "def custome_users(self, schema_in)": """
        class ClassicResource(Resource):
            name = "user"
            schema = model_to_schema(User)
            @action()
            def custome_users(self, schema_in):
                return User.io.query(age__gte=25).all()
        app = app_of(ClassicResource)
        found = client_of(app).get("/users/custome-users", params={"limit": 5}).json()
        assert [item["username"] for item in found["items"]] == ["ann"]
        assert "CustomeUsers" in {method.name for method in app.services.bound.methods}
    """,
    "schema_in": """
        class Reason(BaseModel):
            text: str
        class AskingResource(UserResource):
            name = "user"
            @action(methods=["post"])
            def why(self, schema_in: Reason) -> str:
                return schema_in.text
        client = client_of(app_of(AskingResource))
        assert client.post("/users/why", json={"text": "so"}).json() == {"result": "so"}
    """,
    "pk": "assert client_of(app_of(UserResource)).get('/users/2').json()['username'] == 'bob'",
    "self.auth": """
        class MeResource(Resource):
            @action()
            def who(self) -> str:
                return self.auth.id
        app = Bali(title="me", resources=[MeResource], authenticator=StaticTokens({"t": "ann"}))
        answer = client_of(app).get("/mes/who", headers={"authorization": "Bearer t"})
        assert answer.json() == {"result": "ann"}, answer.text
    """,
    "ListRequest(filters, limit, offset, ordering)": """
        request = ListRequest(limit=5, offset=2, ordering="-age")
        assert (request.limit, request.offset, request.ordering) == (5, 2, "-age")
        assert request.filters == {}
    """,
    **{
        name: _STANDARD % name
        for name in ("get_users", "get_user", "create_user", "update_user", "delete_user")
    },
    "UserResource(request, context, pb2.UserResponse).get_users()": """
        assert [user.username for user in ask("GetUsers", limit=1, offset=1).data] == ["bob"]
    """,
    "UserResource.as_router()": """
        app = app_of(routers=[{"router": UserResource.as_router(), "prefix": "/people"}])
        assert client_of(app).get("/people/1").json()["username"] == "ann"
    """,
    "UserResource.as_servicer(app)": """
        app = app_of()
        UserResource.as_servicer(app)
        assert "GetUser" in {method.name for method in app.services.bound.methods}
    """,
    "return User.io.query().filter(...)": """
        class QueryResource(UserResource):
            name = "user"
            @action()
            def list(self, schema_in: ListRequest):
                return User.io.query().filter(User.age > 1)
        page = client_of(app_of(QueryResource)).get("/users", params={"limit": 1}).json()
        assert [item["username"] for item in page["items"]] == ["ann"] and page["next_page_token"]
    """,
    'API("Greeter").get({...})': """
        API("Greeter").get({"hello": "world"})
        client = client_of(Bali(title="greet"))
        API.declared.clear()
        assert client.get("/greeters/1").json() == {"hello": "world"}
    """,
    'API("Greeter").list([...])': """
        API("Greeter").list([{"hello": "world"}])
        client = client_of(Bali(title="greet"))
        API.declared.clear()
        assert client.get("/greeters").json()["items"] == [{"hello": "world"}]
    """,
    'API("Greeter").schema(Greeter)': """
        class Greeter(BaseModel):
            hello: str
        API("Greeter").schema(Greeter).get({"hello": "world"})
        resource = API.declared.pop().resource()
        assert resource.schema is Greeter
    """,
}
