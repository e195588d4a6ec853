"""The first bali: a model and a resource, as its README has them, and a servicer over it."""

import datetime
import importlib
import os
import shutil
import sys
import tempfile
import threading
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import uvicorn
from grpc_tools import protoc
from sqlalchemy.dialects import registry

# It knows PostgreSQL by an address that SQLAlchemy has dropped: `postgres://`.
registry.register("postgres", "sqlalchemy.dialects.postgresql.psycopg2", "PGDialect_psycopg2")

from bali import Bali  # noqa: E402, I001 - needs the line above
from bali.db import db  # noqa: E402 - same
from bali.decorators import action  # noqa: E402 - same
from bali.interceptors import ProcessInterceptor  # noqa: E402 - same
from bali.resources import ModelResource  # noqa: E402 - same
from bali.schemas import model_to_schema  # noqa: E402 - same
from pydantic import BaseModel, validator  # noqa: E402 - same
from sqlalchemy import Column, Integer, String  # noqa: E402 - same

URL = os.environ.get("DATABASE_URL", "postgresql://postgres@127.0.0.1/test")
db.connect(URL.replace("postgresql://", "postgres://"), engine_options={"pool_size": 10})


class User(db.BaseModel):
    """The table."""

    __tablename__ = "bench_users"

    id = Column(Integer, primary_key=True)
    username = Column(String(50), nullable=False)
    age = Column(Integer)


class UserResource(ModelResource):
    """The resource over it."""

    model = User
    schema = model_to_schema(User)


class UserRecord(BaseModel):
    """A row for gRPC: its messages take the text of a moment, and no moment."""

    id: int | None
    created_time: str | None
    updated_time: str | None
    is_active: bool | None
    username: str | None
    age: int | None

    class Config:
        """It is read from models."""

        orm_mode = True

    @validator("created_time", "updated_time", pre=True)
    def as_text(cls, value: Any) -> Any:  # noqa: N805 - as pydantic 1 has it
        """Return a moment as JSON writes it."""
        if not isinstance(value, datetime.datetime):
            return value
        zone = value.tzinfo or datetime.UTC
        return value.replace(tzinfo=zone).astimezone(datetime.UTC).isoformat()


class UserIn(BaseModel):
    """What callers give; the model has the rest, and would take None in place of its defaults."""

    username: str
    age: int | None


class UserRpcResource(UserResource):
    """The same for gRPC."""

    schema = UserRecord

    @action()
    def create(self, schema_in: UserIn = None) -> Any:
        """Store a user."""
        return self.model.io.create(**schema_in.dict())


def compiled(folder: Path) -> tuple[Any, Any]:
    """Compile the .proto with the protoc of this environment; return the modules."""
    (folder / "protos").mkdir()
    shutil.copy(Path(__file__).with_suffix(".proto"), folder / "protos" / "bench.proto")
    well_known = Path(protoc.__file__).parent / "_proto"
    code = protoc.main(
        ["protoc", f"-I{folder}", f"-I{well_known}", f"--python_out={folder}",
         f"--grpc_python_out={folder}", "protos/bench.proto"]
    )  # fmt: skip
    if code:
        raise SystemExit("protoc could not compile first_bali.proto")
    sys.path.insert(0, str(folder))
    names = ("protos.bench_pb2", "protos.bench_pb2_grpc")
    pb2, pb2_grpc = map(importlib.import_module, names)
    return pb2, pb2_grpc


with tempfile.TemporaryDirectory() as made:
    pb2, pb2_grpc = compiled(Path(made))


class BenchService(pb2_grpc.BenchServiceServicer):
    """The servicer, written by hand."""

    def GetUser(self, request: Any, context: Any) -> Any:
        """Return one user."""
        return UserRpcResource(request, context, pb2.ItemResponse).get().data

    def ListUsers(self, request: Any, context: Any) -> Any:
        """Return one page of users."""
        return UserRpcResource(request, context, pb2.ListResponse).list()

    def CreateUser(self, request: Any, context: Any) -> Any:
        """Store a user."""
        return UserRpcResource(request, context, pb2.ItemResponse).create().data

    def UpdateUser(self, request: Any, context: Any) -> Any:
        """Change a user."""
        return UserRpcResource(request, context, pb2.ItemResponse).update().data


def serve(port: int) -> None:
    """Serve gRPC, with what its own `serve` has."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=10), interceptors=[ProcessInterceptor()]
    )
    pb2_grpc.add_BenchServiceServicer_to_server(BenchService(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


app = Bali(title="bench", routers=[{"router": UserResource.as_router(), "prefix": "/users"}])

if __name__ == "__main__" and "--check" not in sys.argv:
    threading.Thread(target=serve, args=(int(sys.argv[4]),), daemon=True).start()
    uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning",
                access_log=False)  # fmt: skip
