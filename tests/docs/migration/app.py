"""What the entries of the migration page about the app and its settings do, as programs."""

from __future__ import annotations

__all__ = ["CHECKS"]

CHECKS: dict[str, str] = {
    "Bali(title=, base_settings=, routers=, backend_cors_origins=, rpc_service=)": """
        router = APIRouter()
        app = Bali(
            title="user",
            base_settings={"version": "7"},
            routers=[{"router": router, "prefix": "/x"}],
            backend_cors_origins=["https://a.example"],
            rpc_service=object(),
        )
        assert (app.title, app.version) == ("user", "7")
    """,
    "app.register(UserResource)": """
        app = app_of()
        app.register(UserResource)
        assert client_of(app).get("/users/1").json()["username"] == "ann"
    """,
    "app.register([UserResource])": """
        app = app_of()
        app.register([UserResource])
        assert client_of(app).get("/users/1").status_code == 200
    """,
    "register(..., with_http=, with_rpc=)": """
        app = app_of()
        app.register(UserResource, with_http=False, with_rpc=True)
        assert client_of(app).get("/users/1").status_code == 404
        assert app.services.bound
    """,
    "app.settings(...)": """
        app = app_of()
        app.settings(base_settings={"title": "other"}, backend_cors_origins=["*"])
        assert app.title == "other"
    """,
    "app.start()": """
        app = app_of()
        try:
            app.start(["--help"])
        except SystemExit as ended:
            assert ended.code == 0
    """,
    '@app.get("/hello")': """
        app = app_of()
        @app.get("/hello")
        def hello():
            return "hi"
        assert client_of(app).get("/hello").json() == "hi"
    """,
    "app.include_router(router)": """
        router, app = APIRouter(), app_of()
        router.get("/hi")(lambda: "hi")
        app.include_router(router)
        assert client_of(app).get("/hi").json() == "hi"
    """,
    "APIRouter": "assert APIRouter(prefix='/x').prefix == '/x'",
    "initialize(settings)": """
        class Former(Settings):
            SQLALCHEMY_DATABASE_URI: str = "sqlite:///former.db"
        initialize(Former())
        assert current_settings().database_url == "sqlite:///former.db"
        initialize(None)
    """,
    "Settings": "assert Settings(port=5).port == 5",
    **{
        stage: f"assert Settings(stage='{stage}').stage is Stage.{stage}"
        for stage in ("DEV", "TEST", "STAGING", "PROD")
    },
}
