"""The git program: run without a prompt, a pager or hooks, and never without an end."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bali_cli.console import abort

__all__ = ["Outcome", "attempt_git", "git", "is_url", "without_credentials", "without_secrets"]

_CREDENTIALS = re.compile(r"(https?://)[^/\s@]+@")

#: How long one command may take; BALI_GIT_TIMEOUT, in seconds, sets another bound.
_SECONDS = 120.0

#: `scheme://...`, and `host:path` or `user@host:path` as ssh knows it.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/:\s]+:(?!$)")

#: What a git that runs us (in a hook, an alias) tells of its own repository: not the one we mean.
_OF_ANOTHER_REPO = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)

_SETTINGS = (
    "advice.detachedHead=false",
    "color.ui=false",
    "core.fsmonitor=false",  # a program that a repository names
    "core.hooksPath=/dev/null",  # the same; hooks of the remote's side still run there
    "core.quotePath=false",
    "credential.interactive=false",
    "gc.auto=0",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=30",
    "maintenance.auto=false",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command left: its exit code, stdout, and stderr as text without secrets."""

    command: str
    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        """Stdout as text, without the line break at its end."""
        return os.fsdecode(self.output).removesuffix("\n")

    def refuse(self) -> None:
        """End the process with git's own words and the command unless it succeeded."""
        if self.code:
            words = self.errors or f"it ended with exit code {self.code} and said nothing"
            abort(f"git failed: {words}\nThe command was: {self.command}")


def git(
    *arguments: str | Path,
    folder: Path | None = None,
    given: bytes | None = None,
    environment: dict[str, str] | None = None,
) -> str:
    """Return what git prints for `arguments`, run in `folder` with `given` as its stdin.

    Ends the process with git's own words when it fails, when there is no git, and when it takes
    longer than two minutes (BALI_GIT_TIMEOUT sets another number of seconds).
    """
    outcome = attempt_git(*arguments, folder=folder, given=given, environment=environment)
    outcome.refuse()
    return outcome.text


def attempt_git(
    *arguments: str | Path,
    folder: Path | None = None,
    given: bytes | None = None,
    environment: dict[str, str] | None = None,
) -> Outcome:
    """Run git as `git` does, and return how it ended; only an end by time is not returned from."""
    program = shutil.which("git")
    if program is None:
        abort(
            "git is not installed: there is no program `git` on PATH.\n"
            "Install it (https://git-scm.com/downloads) and run this command again."
        )
    words = [str(argument) for argument in arguments]
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    process = subprocess.Popen(  # noqa: S603 - the arguments are ours, and a URL stands after `--`
        [program, "--no-pager", *settings, *words],
        cwd=folder,
        env=_environment() | (environment or {}),
        stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # no terminal to ask at, and one group to end with all its helpers
    )
    command = without_secrets(shlex.join(["git", *words]))
    with process:
        output, errors = _wait(process, given, command)
    return Outcome(
        command=command,
        code=process.returncode,
        output=output,
        errors=without_secrets(errors.decode(errors="replace").strip()),
    )


def is_url(source: str) -> bool:
    """Tell whether git reads `source` as an address rather than as a path."""
    return bool(_URL.match(source)) and not Path(source).exists()


def without_secrets(text: str) -> str:
    """Return `text` with the user and password of each HTTP address in it hidden."""
    return _CREDENTIALS.sub(r"\1***@", text)


def without_credentials(address: str) -> str:
    """Return an address that says nothing of a user or password."""
    return _CREDENTIALS.sub(r"\1", address)


def _wait(
    process: subprocess.Popen[bytes], given: bytes | None, command: str
) -> tuple[bytes, bytes]:
    seconds = _seconds()
    try:
        return process.communicate(given, timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        abort(
            f"git gave no answer within {seconds:g} seconds.\nThe command was: {command}\n"
            "Check the address and the network; BALI_GIT_TIMEOUT sets another number of seconds."
        )
    except BaseException:  # Ctrl-C does not reach a session of its own
        os.killpg(process.pid, signal.SIGKILL)
        raise


def _seconds() -> float:
    wanted = os.environ.get("BALI_GIT_TIMEOUT")
    if not wanted:
        return _SECONDS
    try:
        seconds = float(wanted)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        abort(f"BALI_GIT_TIMEOUT is {wanted!r}; it has to be a number of seconds above 0.")
    return seconds


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPO}
    return kept | {
        "GCM_INTERACTIVE": "never",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",  # not `ext::`, which runs a program
        "GIT_EDITOR": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "LANGUAGE": "",
        "LC_ALL": "C",
        "SSH_ASKPASS_REQUIRE": "never",
    }
