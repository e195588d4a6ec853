"""The prompt of the standard library, with `await`."""

from __future__ import annotations

import code
import importlib.util
import types
from typing import Any

from bali.app.execution import Execution, exit_code_of, told

__all__ = ["Console"]

_LEAVE = ("exit", "quit")


class Console(code.InteractiveConsole):
    """Reads, runs and shows, until it is told to leave."""

    def __init__(self, names: dict[str, Any]) -> None:
        super().__init__(names)
        self._execution = Execution(names)
        self.compile.compiler = self._execution.compiler

    def run(self, banner: str) -> int:
        """Talk until `exit` or Ctrl-D; return the exit code."""
        _complete_names(self._execution.names)
        try:
            self.interact(banner, exitmsg="")
        except SystemExit as stop:
            return exit_code_of(stop)
        return 0

    def runsource(self, source: str, filename: str = "<console>", symbol: str = "single") -> bool:
        """Run what was typed; return whether it goes on in the next line."""
        if source.strip() in _LEAVE:
            raise SystemExit
        return super().runsource(source, filename, symbol)

    def runcode(self, code: types.CodeType) -> None:
        """Run one piece; what it raises is shown."""
        try:
            self._execution.run(code)
        except SystemExit:
            raise
        except KeyboardInterrupt:
            self.write("\nKeyboardInterrupt\n")
        except BaseException as error:  # noqa: BLE001 - whatever the code raises
            self.write(told(error))


def _complete_names(names: dict[str, Any]) -> None:
    """Have the Tab key complete names, where Python has readline."""
    if importlib.util.find_spec("readline") is None:
        return
    import readline  # noqa: PLC0415 - absent on Windows
    import rlcompleter  # noqa: PLC0415 - it takes over the Tab key when it is imported

    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")
