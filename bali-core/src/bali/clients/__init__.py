"""The run time of generated clients: channels, deadlines, retries, errors, fakes.

What `bali add` writes is thin: names and types. What a call does is decided here.
"""

from bali.clients.async_client import AsyncClient
from bali.clients.channels import close_async_channels, close_channels
from bali.clients.client import Client
from bali.clients.codec import codec_of
from bali.clients.fakes import AsyncFakeClient, FakeClient, RecordedCall
from bali.clients.method import CallOptions, Method, OperationShape
from bali.clients.operations import AsyncOperation, Operation
from bali.clients.options import Cache, ClientOptions, Tls
from bali.clients.paging import each_item, each_item_async
from bali.clients.schema import UNSET, OpenEnum, Schema, check_one_of

__all__ = [
    "UNSET",
    "AsyncClient",
    "AsyncFakeClient",
    "AsyncOperation",
    "Cache",
    "CallOptions",
    "Client",
    "ClientOptions",
    "FakeClient",
    "Method",
    "OpenEnum",
    "Operation",
    "OperationShape",
    "RecordedCall",
    "Schema",
    "Tls",
    "check_one_of",
    "close_async_channels",
    "close_channels",
    "codec_of",
    "each_item",
    "each_item_async",
]
