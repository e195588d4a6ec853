"""A program that does what each entry of the migration page says.

Standard input has a JSON list of entries; standard output gets a JSON object with each of them and
what went wrong with it, null when nothing did.
"""

from __future__ import annotations

import ast
import asyncio
import faulthandler
import inspect
import json
import sys
import textwrap
import traceback
from contextlib import redirect_stdout
from typing import Any

from tests.docs.migration import app, data, replacements, resources, rpc

__all__ = ["CHECKS"]

CHECKS = {
    **app.CHECKS,
    **resources.CHECKS,
    **data.CHECKS,
    **rpc.CHECKS,
    **replacements.CHECKS,
}

#: All of it takes a few seconds; less than what the test is given.
HANG_SECONDS = 120

PREPARED = """
import asyncio, datetime, gzip, importlib, json, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.struct_pb2 import Struct
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import Mapped, mapped_column
from starlette.testclient import TestClient

from bali import *
from bali import db
from bali.proto import error_from_status
from bali.settings import current_settings
from bali.testing import GRPCTestBase
import service_pb2 as pb2, service_pb2_grpc as pb2_grpc

db.connect("sqlite:///migration.sqlite3")

class User(db.BaseModel):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    username = Column(String(50), unique=True)
    age = Column(Integer)

db.create_all()
for name, age in (("ann", 30), ("bob", 20)):
    User.io.create(username=name, age=age)

class UserResource(ModelResource):
    model = User

def client_of(app):
    return TestClient(app, raise_server_exceptions=False)

def app_of(*resources, **options):
    return Bali(title="user", resources=resources, databases=[db], **options)

class UserService(pb2_grpc.UserServiceServicer):
    def GetUsers(self, request, context):
        return UserResource(request, context, pb2.ListResponse).get_users()
    def GetUser(self, request, context):
        return UserResource(request, context, pb2.ItemResponse).get_user()
    def DeleteUser(self, request, context):
        return Removing(request, context, pb2.ResultResponse).delete_user()

class Removing(UserResource):
    name = "user"
    @action()
    def delete(self, pk) -> bool:
        return pk == 7

def ask(method, **fields):
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[ProcessInterceptor()])
    pb2_grpc.add_UserServiceServicer_to_server(UserService(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = pb2_grpc.UserServiceStub(channel)
            kind = pb2.ListRequest if method == "GetUsers" else pb2.GetRequest
            return getattr(stub, method)(kind(**fields), timeout=30)
    finally:
        server.stop(None).wait()

def operator(name, column, value, count):
    expressions = get_filters_expr(User, **{f"{column}__{name}": value})
    assert User.io.query(*expressions).filter(User.id <= 2).count() == count, name

def command(*arguments):
    program = [sys.executable, "-m", "bali_cli", *arguments, "--help"]
    done = subprocess.run(program, capture_output=True)
    assert done.returncode == 0, done.stderr
"""


def failure(code: str, names: dict[str, Any]) -> str | None:
    """Run the check of an entry; return what went wrong."""
    if code not in CHECKS:
        return f"tests/docs/migration has no check for {code!r}"
    try:
        _run(CHECKS[code], code, dict(names))
    except BaseException:  # noqa: BLE001 - reported
        return traceback.format_exc()
    return None


def _run(source: str, place: str, names: dict[str, Any]) -> None:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    text = textwrap.dedent(source)
    program = compile(text, f"<{place}>", "exec", flags=flags, dont_inherit=True)
    if program.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(program, names))  # noqa: S307 - the checks above
    else:
        exec(program, names)  # noqa: S102 - the checks above


def main() -> None:
    """Read the entries, run their checks and tell the outcome, or where they hang."""
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    names: dict[str, Any] = {"__name__": "migration"}
    _run(PREPARED, "prepared", names)
    with redirect_stdout(sys.stderr):
        outcome = {code: failure(code, names) for code in json.load(sys.stdin)}
    json.dump(outcome, sys.stdout)


if __name__ == "__main__":
    main()
