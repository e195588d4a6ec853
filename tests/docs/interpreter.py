"""The Python session of one document: a program that runs the blocks it is sent.

Each line on stdin is a JSON object, `{"module": name}` or
`{"code": text, "file": path, "line": n}`.
Each answer on stdout is a JSON string, the traceback, or null if all went well.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import types


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a block prints goes to the log, not among the answers
    session = types.ModuleType("document")
    sys.modules["document"] = session
    for request in sys.stdin:
        trace: str | None = None
        try:
            run(session, json.loads(request))
        except BaseException:  # noqa: BLE001 - whatever a block raises is its result
            trace = traceback.format_exc()
        sys.stdout.flush()
        answers.write(json.dumps(trace) + "\n")
        answers.flush()


def run(session: types.ModuleType, request: dict[str, str]) -> None:
    if "module" in request:
        names = vars(importlib.import_module(request["module"]))
        vars(session).update({name: names[name] for name in names if not name.startswith("__")})
    else:
        # The lines before make a traceback show the document's own lines.
        text = "\n" * (int(request["line"]) - 1) + request["code"]
        exec(compile(text, request["file"], "exec"), vars(session))  # noqa: S102 - that is its job


if __name__ == "__main__":
    main()
