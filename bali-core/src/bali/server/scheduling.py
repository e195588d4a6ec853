"""How the kernel shares a core among the threads of a process that serves."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["schedule_in_batches"]

_TASKS = Path("/proc/self/task")


def schedule_in_batches() -> bool:
    """Have no thread of this process pushed aside by one that has just been woken (`SCHED_BATCH`).

    One gRPC call wakes several threads: the one that reads, the one that waits for what is
    completed, the event loop. On a busy core each would push the one before it aside, so that the
    core changes threads several times a call; in batches, a thread ends what it was at, and the
    next finds several pieces of work. The share of the processor and the priority stay as they
    are; where a core is free, nothing waits. Threads and processes started later inherit it.

    Return whether it is so now: not where the kernel knows no such thing (macOS, Windows), does
    not allow it, or whoever started this process has chosen another policy (`chrt`).
    """
    if not hasattr(os, "SCHED_BATCH"):
        return False
    try:
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            for thread in (int(task.name) for task in _TASKS.iterdir()):
                with contextlib.suppress(ProcessLookupError):  # it has ended since
                    os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
        return os.sched_getscheduler(0) == os.SCHED_BATCH
    except OSError:
        return False
