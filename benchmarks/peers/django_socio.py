"""django-socio-grpc: a model, a serializer and its asynchronous model service.

It would write a .proto of its own. Here it answers protoc's messages that every service speaks:
its generic actions do the work, behind methods with the names and shapes of those messages.
"""

import asyncio
import importlib
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import django
import uvloop
from django.conf import settings

URL = urlsplit(os.environ.get("DATABASE_URL", "postgresql://postgres@127.0.0.1/test"))


def add_services(server: Any) -> None:
    """Mount the service, as `handlers.py` of a project does."""
    pb2_grpc.add_BenchServiceServicer_to_server(UserService.as_servicer(), server)


settings.configure(
    USE_TZ=True,
    INSTALLED_APPS=["django_socio_grpc"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": URL.path.strip("/"),
            "HOST": URL.hostname,
            "PORT": URL.port or 5432,
            "USER": URL.username or "",
            "PASSWORD": URL.password or "",
            "CONN_MAX_AGE": None,
        }
    },
    GRPC_FRAMEWORK={"ROOT_HANDLERS_HOOK": add_services, "GRPC_ASYNC": True},
)
django.setup()

from django.core.management import call_command  # noqa: E402 - needs the settings
from django.db import models  # noqa: E402 - same
from django_socio_grpc import generics, proto_serializers  # noqa: E402 - same
from django_socio_grpc.protobuf.json_format import message_to_dict  # noqa: E402 - same
from rest_framework.pagination import BasePagination  # noqa: E402 - same

pb2: Any = importlib.import_module("bench_pb2")
pb2_grpc: Any = importlib.import_module("bench_pb2_grpc")


class User(models.Model):  # noqa: DJ008 - nobody prints one
    """The table."""

    created_time = models.DateTimeField(auto_now_add=True)
    updated_time = models.DateTimeField(auto_now=True)
    is_active = models.BooleanField(default=True)
    username = models.CharField(max_length=50)
    age = models.IntegerField(null=True)

    class Meta:
        """It is there already."""

        app_label = "bench"
        db_table = "bench_users"
        managed = False


class UserSerializer(proto_serializers.ModelProtoSerializer):
    """The messages of a user."""

    class Meta:
        """What it is made of."""

        model = User
        fields = "__all__"
        proto_class = pb2.User
        proto_class_list = pb2.ListUsersResponse
        message_list_attr = "items"


class Pages(BasePagination):
    """Pages of the size that a request wants; its own ones read the metadata of a call."""

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> Any:
        """Return the first page."""
        del request
        return queryset[: view.request.page_size]


class UserService(generics.AsyncModelService):
    """The service over the table."""

    queryset = User.objects.order_by("id")
    serializer_class = UserSerializer
    pagination_class = Pages

    async def GetUser(self, request: Any, context: Any) -> Any:
        """Return one user."""
        return await self.Retrieve(request, context)

    async def ListUsers(self, request: Any, context: Any) -> Any:
        """Return one page of users."""
        return await self.List(request, context)

    async def CreateUser(self, request: Any, context: Any) -> Any:
        """Store a user."""
        return await self.Create(request.user, context)

    async def UpdateUser(self, request: Any, context: Any) -> Any:
        """Change a user; its own action wants the names of the fields in a field of the message."""
        del context
        given = message_to_dict(request.user)
        serializer = await self.aget_serializer(await self.aget_object(), data=given, partial=True)
        await serializer.ais_valid(raise_exception=True)
        await self.aperform_partial_update(serializer)
        return await serializer.amessage

    async def DeleteUser(self, request: Any, context: Any) -> Any:
        """Remove a user."""
        return await self.Destroy(request, context)

    async def PingUsers(self, request: Any, context: Any) -> Any:
        """Say the same each time."""
        del request, context
        return pb2.Pong(text="pong")

    async def WorkUsers(self, request: Any, context: Any) -> Any:
        """Not compared; a service is mounted with all its methods, or not at all."""
        raise NotImplementedError


if __name__ == "__main__" and "--check" not in sys.argv:
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    call_command("grpcrunaioserver", f"127.0.0.1:{sys.argv[2]}")
