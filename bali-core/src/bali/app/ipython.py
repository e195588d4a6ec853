"""The prompt of IPython, for those who have it: `pip install ipython`."""

from __future__ import annotations

from typing import Any

from IPython import start_ipython
from traitlets.config import Config

from bali.app.execution import await_here

__all__ = ["run_ipython"]


def run_ipython(names: dict[str, Any], banner: str) -> int:
    """Talk until `exit` or Ctrl-D; return the exit code, which is 0.

    It is configured as always, by the files in `~/.ipython`.
    """
    config = Config()
    config.TerminalInteractiveShell.banner1 = f"{banner}\n"
    config.TerminalInteractiveShell.confirm_exit = False
    config.TerminalInteractiveShell.loop_runner = await_here
    start_ipython(argv=[], user_ns=names, config=config)
    return 0
