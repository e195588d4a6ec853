"""Channels are shared, closed, secured, and follow the pods of a service."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from dnslib import QTYPE, RR, A
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from bali.clients import ClientOptions, Tls, close_async_channels, close_channels
from bali.clients.channels import lease_async, lease_sync
from bali.errors import ConfigurationError, Unavailable
from tests.clients.certificates import make
from tests.clients.generated import UserServer, module, serving


@pytest.fixture
def clients() -> Any:
    return module("user.user_client")


def answer_with(server: UserServer, number: int) -> None:
    pb2 = module("user.user_pb2")
    server.behaviours["GetUser"] = lambda *_: pb2.User(id=number)


def test_clients_of_an_address_share_a_channel(clients: Any, server: UserServer) -> None:
    answer_with(server, 1)
    with clients.UserClient(server.address) as one, clients.UserClient(server.address) as two:
        one.get_user(id=1)
        two.get_user(id=1)
        assert one._lease.channel is two._lease.channel
        assert one._lease.calls is two._lease.calls


def test_the_last_user_closes_the_channel(clients: Any, server: UserServer) -> None:
    answer_with(server, 1)
    one, two = clients.UserClient(server.address), clients.UserClient(server.address)
    one.get_user(id=1)
    two.get_user(id=1)
    channel = two._lease.channel
    one.close()
    assert two.get_user(id=1).id == 1
    two.close()
    with pytest.raises(ValueError, match="closed"):
        channel.unary_unary("/x")(b"")
    assert two.get_user(id=1).id == 1  # a call after it takes a channel again
    two.close()


def test_clients_that_were_forgotten_leave_the_channel_to_others(server: UserServer) -> None:
    options = ClientOptions(address=server.address)
    user = threading.Event()
    first = lease_sync(options, user)
    del user
    gc.collect()
    other = threading.Event()
    assert lease_sync(options, other).channel is first.channel
    close_channels()
    assert lease_sync(options, other).channel is not first.channel
    close_channels()


async def test_an_event_loop_has_channels_of_its_own(clients: Any, server: UserServer) -> None:
    answer_with(server, 1)
    async with (
        clients.AsyncUserClient(server.address) as one,
        clients.AsyncUserClient(server.address) as two,
    ):
        assert one._multicallable(clients.USER_METHODS["get_user"]) is two._multicallable(
            clients.USER_METHODS["get_user"]
        )
        found = lease_async(ClientOptions(address=server.address), asyncio.current_task())
        assert found.channel is one._lease.channel
        await close_async_channels()
        assert lease_async(one.options, one).channel is not found.channel
        await close_async_channels()


# -- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make(tmp_path_factory.mktemp("pems"))


def credentials(pems: dict[str, str], *, is_mutual: bool) -> grpc.ServerCredentials:
    def read(name: str) -> bytes:
        with open(pems[name], "rb") as file:  # noqa: PTH123 - short
            return file.read()

    return grpc.ssl_server_credentials(
        [(read("server_key"), read("server_cert"))],
        root_certificates=read("ca") if is_mutual else None,
        require_client_auth=is_mutual,
    )


def test_tls_trusts_whom_it_is_told_to(clients: Any, pems: dict[str, str]) -> None:
    with serving("localhost:0", credentials(pems, is_mutual=False)) as server:
        answer_with(server, 1)
        with clients.UserClient(f"https://{server.address}", tls=Tls(ca_file=pems["ca"])) as ours:
            assert ours.get_user(id=1).id == 1
        with (
            clients.UserClient(f"https://{server.address}", attempts=1) as strangers,
            pytest.raises(Unavailable),
        ):
            strangers.get_user(id=1)


def test_both_sides_may_show_who_they_are(clients: Any, pems: dict[str, str]) -> None:
    with serving("localhost:0", credentials(pems, is_mutual=True)) as server:
        answer_with(server, 1)
        proof = Tls(ca_file=pems["ca"], cert_file=pems["client_cert"], key_file=pems["client_key"])
        with clients.UserClient(server.address, tls=proof) as known:
            assert known.get_user(id=1).id == 1
        with (
            clients.UserClient(server.address, tls=Tls(ca_file=pems["ca"]), attempts=1) as unknown,
            pytest.raises(Unavailable),
        ):
            unknown.get_user(id=1)


def test_a_pem_file_that_is_not_there_is_named(clients: Any) -> None:
    with (
        clients.UserClient("a:1", tls=Tls(ca_file="/no/such.pem")) as client,
        pytest.raises(ConfigurationError, match=r"/no/such\.pem"),
    ):
        client.get_user(id=1)
    with (
        clients.UserClient("a:1", tls=Tls(cert_file="/x.pem")) as client,
        pytest.raises(ConfigurationError, match="cert_file and key_file"),
    ):
        client.get_user(id=1)


# -- pods that come and go -----------------------------------------------------------------------


class Zone(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """A name with addresses that change."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def resolve(self, request: Any, handler: Any) -> Any:
        reply = request.reply()
        if request.q.qtype == QTYPE.A:
            for address in self.addresses:
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=1))
        return reply


@pytest.fixture
def zone() -> Iterator[tuple[Zone, int]]:
    zone = Zone()
    running = DNSServer(zone, address="127.0.0.1", port=0, logger=DNSLogger("-"))
    running.start_thread()
    yield zone, running.server.server_address[1]
    running.stop()
    running.server.server_close()


def test_calls_are_spread_over_the_pods_of_a_name_and_follow_them(
    clients: Any, zone: tuple[Zone, int], free_port: int
) -> None:
    names, dns_port = zone
    with ExitStack() as stack:
        pods = {}
        for number in (2, 3):
            pods[number] = stack.enter_context(serving(f"127.0.0.{number}:{free_port}"))
            answer_with(pods[number], number)
        names.addresses = ["127.0.0.2", "127.0.0.3"]
        address = f"dns://127.0.0.1:{dns_port}/users.example:{free_port}"
        client = stack.enter_context(clients.UserClient(address))
        seen = {client.get_user(id=1).id for _ in range(40)}
        assert seen == {2, 3}

        # One after the other goes and another comes, as in a rolling update: no call is lost.
        late = stack.enter_context(serving(f"127.0.0.4:{free_port}"))
        answer_with(late, 4)
        names.addresses = ["127.0.0.3", "127.0.0.4"]
        pods[2].stop()
        seen = set()
        while 4 not in seen:
            seen.add(client.get_user(id=1).id)
        assert seen <= {3, 4}
        names.addresses = ["127.0.0.4"]
        pods[3].stop()
        assert {client.get_user(id=1).id for _ in range(20)} == {4}


def test_a_client_that_was_used_is_copied_and_pickled(clients: Any, server: UserServer) -> None:
    answer_with(server, 1)
    with clients.UserClient(server.address, attempts=2) as client:
        client.get_user(id=1)
        pickled = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own bytes
        for copied in (copy.deepcopy(client), pickled):
            with copied:
                assert copied.options == client.options
                assert copied.get_user(id=1).id == 1


_FORKING = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from bali.clients import AsyncClient, ClientOptions
from bali.clients.channels import lease_async
from bali.errors import ConfigurationError

async def lease():
    return lease_async(ClientOptions(address="127.0.0.1:1"), asyncio.current_task())

asyncio.run(lease())
if (child := os.fork()) == 0:
    try:
        asyncio.run(lease())
    except ConfigurationError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_an_async_call_in_a_forked_process_is_refused_instead_of_waiting_for_ever() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKING], capture_output=True, text=True, timeout=60, check=True
    )
    assert 'start it with multiprocessing.get_context("spawn")' in done.stdout
