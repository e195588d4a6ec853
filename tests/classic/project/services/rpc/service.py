"""The gRPC service, written by hand over the resource."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from bali import ProcessInterceptor
from core.config import settings
from resources.user import UserResource
from services.rpc import user_pb2 as pb2
from services.rpc import user_pb2_grpc


class UserService(user_pb2_grpc.UserServiceServicer):
    def GetUsers(self, request, context):
        return UserResource(request, context, pb2.UserResponse).get_users()


def serve():
    """Answer calls until told to stop."""
    server = grpc.server(ThreadPoolExecutor(50), interceptors=[ProcessInterceptor()])
    user_pb2_grpc.add_UserServiceServicer_to_server(UserService(), server)
    server.add_insecure_port(settings.RPC_ADDRESS)
    server.start()
    server.wait_for_termination()
