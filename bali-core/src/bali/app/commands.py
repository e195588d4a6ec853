"""What `python main.py` understands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bali.errors import ConfigurationError
from bali.server import Limits, Mode, ServerOptions
from bali.settings import Settings

__all__ = ["limits_of", "parse_options"]

_MAX_PORT = 65535


def parse_options(
    argv: Sequence[str], settings: Settings, *, program: str | None = None
) -> ServerOptions:
    """Return how to serve, from the command line and, where it is silent, from the settings.

    A wrong argument ends the process with the usage on stderr and exit code 2.
    """
    parser = _parser(settings, program)
    arguments = parser.parse_args(argv)
    if arguments.event:
        parser.error("--event: this version of bali has no events yet")
    if arguments.shell:
        parser.error("--shell stands alone: it serves nothing")
    mode: Mode = "all"
    if arguments.http != arguments.rpc:
        mode = "http" if arguments.http else "rpc"
    certfile, keyfile, client_ca = arguments.certfile, arguments.keyfile, arguments.client_ca
    for path in (certfile, keyfile, client_ca):
        if path is not None and not Path(path).is_file():
            parser.error(f"there is no certificate or key file {path!r}")
    rpc_port = arguments.rpc_port
    if rpc_port is None:
        # `--rpc --port N` means the one port that there is.
        given = arguments.port if mode == "rpc" else None
        rpc_port = settings.rpc_port if given is None else given
    try:
        return ServerOptions(
            host=arguments.host,
            port=settings.port if arguments.port is None else arguments.port,
            rpc_port=rpc_port,
            mode=mode,
            workers=arguments.workers,
            batch_scheduling=settings.batch_scheduling,
            reload=arguments.reload,
            certfile=certfile,
            keyfile=keyfile,
            client_ca_file=client_ca,
            client_certificates=arguments.client_certificates,
            drain_delay_seconds=settings.drain_delay_seconds,
            grace_seconds=settings.grace_seconds,
            limits=limits_of(settings),
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def limits_of(settings: Settings) -> Limits:
    """Return the server's limits that settings speak of."""
    return Limits(max_body_bytes=settings.max_body_bytes, max_message_bytes=settings.max_body_bytes)


def _parser(settings: Settings, program: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Serve REST, gRPC, Connect and gRPC-Web, on one port unless told otherwise.",
        epilog="`db init`, `db migrate` and `db upgrade` are those of `bali db`.",
        allow_abbrev=False,
    )
    parser.add_argument("--http", action="store_true", help="serve HTTP alone")
    parser.add_argument("--rpc", action="store_true", help="serve gRPC alone, on its own port")
    parser.add_argument("--event", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--shell", action="store_true", help="a prompt with the app at hand")
    parser.add_argument("--host", default=settings.host, help="address (default: %(default)s)")
    parser.add_argument("--port", type=_port, help=f"port (default: {settings.port})")
    parser.add_argument(
        "--rpc-port", type=_port, help=f"port of --rpc (default: {settings.rpc_port})"
    )
    parser.add_argument(
        "--workers", type=_count, default=settings.workers, help="processes that share the port"
    )
    parser.add_argument("--reload", action="store_true", help="restart when a source file changes")
    parser.add_argument("--certfile", default=settings.certfile, help="TLS certificate (PEM)")
    parser.add_argument("--keyfile", default=settings.keyfile, help="TLS private key (PEM)")
    parser.add_argument(
        "--client-ca",
        metavar="FILE",
        default=settings.client_ca_file,
        help="ask clients for a certificate that one of these authorities has signed (PEM)",
    )
    parser.add_argument(
        "--client-certificates",
        choices=("required", "optional"),
        default=settings.client_certificates,
        help="whether each client needs one (default: %(default)s)",
    )
    return parser


def _port(text: str) -> int:
    return _number(text, 0, _MAX_PORT, "a port is a number from 0 (any free port) to 65535")


def _count(text: str) -> int:
    return _number(text, 1, 512, "a number of processes is from 1 to 512")


def _number(text: str, low: int, high: int, rule: str) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r}: {rule}")
    return int(text)
