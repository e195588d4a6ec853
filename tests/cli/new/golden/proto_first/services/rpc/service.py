"""The gRPC service of `protos/user.proto`: each method hands its request to the resource."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from resources import UserResource
from services.rpc import user_pb2 as pb2
from services.rpc import user_pb2_grpc as pb2_grpc


class UserService(pb2_grpc.UserServiceServicer):
    """The users of the service; permissions, validation and errors are the resource's."""

    async def ListUsers(self, request: pb2.ListUsersRequest, context: Any) -> Any:
        """Return one page of users."""
        resource: Any = UserResource(request, context, pb2.ListUsersResponse)
        return await resource.get_users()

    async def GetUser(self, request: pb2.GetUserRequest, context: Any) -> Any:
        """Return one user."""
        return await UserResource(request, context, pb2.User).get_user()

    async def CreateUser(self, request: pb2.CreateUserRequest, context: Any) -> Any:
        """Store a new user and return it."""
        return await UserResource(request, context, pb2.User).create_user()

    async def UpdateUser(self, request: pb2.UpdateUserRequest, context: Any) -> Any:
        """Change the given fields of a user and return it."""
        return await UserResource(request, context, pb2.User).update_user()

    async def DeleteUser(self, request: pb2.DeleteUserRequest, context: Any) -> Any:
        """Remove a user."""
        return await UserResource(request, context, Empty).delete_user()

    async def DeactivateUser(
        self,
        request: pb2.DeactivateUserRequest,
        context: Any,
    ) -> Any:
        """Switch a user off."""
        resource: Any = UserResource(request, context, pb2.User)
        return await resource.deactivate()
