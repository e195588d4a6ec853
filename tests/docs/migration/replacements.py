"""What stands in the place of names that are gone, and the commands."""

from __future__ import annotations

__all__ = ["CHECKS"]

CHECKS: dict[str, str] = {
    # Their own tests run the commands; here they are there.
    "bali new": "command('new')",
    "bali build": "command('build')",
    "bali add": "command('add')",
    "bali shell": "command('shell')",
    "bali run http": "command('run')",
    "bali run rpc": "command('run')",
    "current_settings().stage": "assert current_settings().stage in Stage",
    "BALI_PORT": "assert 'port' in Settings.model_fields",
    "BALI_RPC_PORT": "assert 'rpc_port' in Settings.model_fields",
    "--port": """
        from bali.app.commands import parse_options
        assert parse_options(["--port", "5"], Settings()).port == 5
    """,
    "Bali(proto=user_pb2)": """
        class SomeUsersResource(UserResource):
            name = "user"
            schema = model_to_schema(User, exclude=["created_time", "updated_time", "is_active"])
            actions = ["get"]
        app = app_of(SomeUsersResource, proto=pb2, package="", service="UserService")
        assert app.services.bound.full_name == "UserService"
    """,
    "plural": """
        class SheepResource(UserResource):
            plural = "sheep"
        assert SheepResource.plural_name() == "sheep"
    """,
    "has_permission(self, context)": """
        class Nobody(Permission):
            def has_permission(self, context):
                return context.principal is not None
        class ShutResource(UserResource):
            name = "user"
            permission_classes = [Nobody]
        assert client_of(app_of(ShutResource)).get("/users").status_code in (401, 403)
    """,
    "context.principal": "assert Context(principal=Principal(id='ann')).principal.id == 'ann'",
    "Bali(authenticator=)": """
        assert app_of(authenticator=StaticTokens({"t": "ann"})).authenticator
    """,
    "authenticate(context)": "assert StaticTokens({'t': 'ann'}).authenticate",
    "pydantic.BaseModel": "assert BaseModel.model_fields == {}",
    "Mapped[datetime.datetime]": """
        class Moment(db.BaseModel):
            at: Mapped[datetime.datetime]
        db.create_all()
        zone = datetime.timezone(datetime.timedelta(hours=7))
        stored = Moment.io.create(at=datetime.datetime(2024, 1, 1, 7, tzinfo=zone))
        assert Moment.io.first(id=stored.id).at.isoformat() == "2024-01-01T00:00:00+00:00"
    """,
    "db.sync_session": """
        with db.transaction():
            assert db.sync_session.get(User, 1).username == "ann"
    """,
    'start_of("year", moment)': """
        from bali.timezone import start_of
        moment = datetime.datetime(2024, 5, 5, tzinfo=datetime.UTC)
        assert start_of("year", moment, timezone="UTC").isoformat() == "2024-01-01T00:00:00+00:00"
    """,
    "asyncio.run(coroutine)": "assert asyncio.run(asyncio.sleep(0, 1)) == 1",
}
