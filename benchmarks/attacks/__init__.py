"""An attack on a service by somebody who may call it: many requests, none of which may succeed.

`python -m benchmarks.attacks` sends 200,000 of them, over REST and gRPC, to a service with rows of
somebody else. It fails when an answer is an unexpected error of the service, when any answer has a
word of those rows in it, and when one of those rows is no longer what it was.
"""

from benchmarks.attacks.campaign import Report, attack

__all__ = ["Report", "attack"]
