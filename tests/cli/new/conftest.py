"""Services that `bali new` wrote, each once for all tests; none of them changes one."""

from __future__ import annotations

import pytest

from tests.cli.new.generated import Generated, generate

collect_ignore = ["golden"]  # the tests in there are those of services

KINDS = {
    "code-first": ("user", False),
    "proto-first": ("user", True),
    "code-first-of-two-words": ("order-item", False),
    "proto-first-of-two-words": ("order-item", True),
}


@pytest.fixture(scope="session", params=KINDS.values(), ids=list(KINDS))
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """A service as it was generated."""
    name, proto_first = request.param
    return generate(tmp_path_factory.mktemp("new"), name, proto_first=proto_first)


@pytest.fixture(scope="session", params=[False, True], ids=["code-first", "proto-first"])
def user(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """The service `user` of each kind."""
    return generate(tmp_path_factory.mktemp("new"), "user", proto_first=request.param)
