"""What `python main.py` does with its arguments."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bali.app.commands import parse_options
from bali.errors import ConfigurationError
from bali.server import ServerOptions, run

if TYPE_CHECKING:
    from bali.app.application import Bali

__all__ = ["run_program"]

#: What a `serve()` of the service's own decides by itself.
_SERVERS_OWN = (
    "--host",
    "--port",
    "--rpc-port",
    "--workers",
    "--reload",
    "--certfile",
    "--keyfile",
    "--client-ca",
    "--client-certificates",
)


def run_program(app: Bali, argv: Sequence[str]) -> int:
    """Do what the arguments ask for: serve until told to stop, or a shell; return the exit code.

    A mistake in the service is told in one line on stderr, with exit code 2.
    """
    if argv[:1] == ["db"]:
        return _run_db(argv[1:])
    try:
        # `run` is what the last versions of the first bali wanted before the options.
        arguments = argv[1:] if argv[:1] == ["run"] else argv
        if list(arguments) == ["--shell"]:
            from bali.app.shell import run_shell  # noqa: PLC0415 - a service serves, as a rule

            return run_shell(app)
        program = f"python {Path(sys.argv[0]).name}"
        options = parse_options(arguments, app.configuration, program=program)
        app.check_permissions()
        if options.mode == "rpc" and hasattr(app.rpc_service, "serve"):
            return _serve_own(app, options, arguments)
        _ = app.services
        return run(lambda: app.server(options), options)
    except ConfigurationError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _serve_own(app: Bali, options: ServerOptions, arguments: Sequence[str]) -> int:
    unheard = [name for item in arguments if (name := item.partition("=")[0]) in _SERVERS_OWN]
    if unheard:
        raise ConfigurationError(
            f"{unheard[0]}: the serve() of rpc_service says itself where and how it serves; leave "
            "the option out, or leave rpc_service out and mount the servicer with "
            "app.add_servicer(...)"
        )
    from bali.app.own_server import run_own_server  # noqa: PLC0415 - the same

    return run_own_server(
        app.rpc_service.serve,
        pipeline=app.pipeline,
        lifespan=app.router.lifespan_context(app),
        drain_delay_seconds=options.drain_delay_seconds,
        grace_seconds=options.grace_seconds,
    )


def _run_db(arguments: Sequence[str]) -> int:
    """Hand `db ...` to the command line, in the folder of the program; return its exit code."""
    if importlib.util.find_spec("bali_cli") is None:
        sys.stderr.write("error: `db` needs the command line of bali: pip install bali-cli\n")
        return 1
    command = [sys.executable, "-m", "bali_cli", "db", *arguments]
    folder = Path(sys.argv[0]).resolve().parent
    return subprocess.run(command, cwd=folder, check=False).returncode  # noqa: S603 - ourselves
