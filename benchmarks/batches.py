"""One batch of 1,000 creates against 1,000 creates, over gRPC and REST.

`python -m benchmarks.batches` prints how many times faster the batch is; at least 20 are wanted.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Callable

from bali.concurrency import run_blocking
from bali.testing import RestServiceClient, RpcServiceClient, ServiceClient, live_server
from benchmarks.attacks.service import VICTIM, db, fill, make_app

_TARGET = 20.0
_CLIENTS: dict[str, Callable[..., ServiceClient]] = {
    "gRPC": RpcServiceClient,
    "REST": RestServiceClient,
}


def main() -> int:
    """Measure, print, and return 1 when the batch is not fast enough."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batches", description=__doc__)
    parser.add_argument("--database", default="postgresql://postgres@127.0.0.1/test")
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    db.connect(options.database)
    slow = False
    with live_server(make_app()) as live:
        run_blocking(fill())
        for name, make in _CLIENTS.items():
            client = make(live)
            ratios = [_ratio(client, options.items) for _ in range(options.rounds)]
            client.close()
            ratio = statistics.median(ratios)
            slow = slow or ratio < _TARGET
            spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
            print(f"{name}: a batch of {options.items} is {ratio:.1f} times faster ({spread})")
    return int(slow)


def _ratio(client: ServiceClient, count: int) -> float:
    letters = [{"owner": "victim", "subject": f"letter {number}"} for number in range(count)]
    requests = [{"letter": letter} for letter in letters]
    began = time.perf_counter()
    made = client.call("letters.batch_create", {"requests": requests}, metadata=VICTIM)
    between = time.perf_counter()
    if made is None or len(made.items) != count:  # type: ignore[attr-defined]  # made at run time
        raise RuntimeError("the batch did not make every item")
    for letter in letters:
        client.call("letters.create", {"letter": letter}, metadata=VICTIM)
    return (time.perf_counter() - between) / (between - began)


if __name__ == "__main__":
    sys.exit(main())
