"""schemathesis reads the document, calls every operation, and finds nothing outside it."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

from tests.behaviour.contract_service import db
from tests.behaviour.contract_service import make_app as make_contract_app
from tests.rest.service import make_app

#: What the contract does not promise, with its reason.
_NOT_PROMISED = [
    # "1" is accepted for 1, as everywhere in pydantic's lax mode.
    "negative_data_rejection",
    # A schema cannot say that a token, a unique label or an existing id is asked for.
    "positive_data_acceptance",
]
load_all_checks()


def checks(*names: str) -> list[Any]:
    return [CHECKS.get_one(name) for name in (*_NOT_PROMISED, *names)]


schema = schemathesis.openapi.from_asgi(
    "/openapi.json",
    make_app(),
    config=SchemathesisConfig.from_dict({"generation": {"deterministic": True}}),
).exclude(path_regex="explode|busy")  # they fail on purpose


@schema.parametrize()
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_no_response_is_outside_the_document(case: schemathesis.Case[Any]) -> None:
    if isinstance(case.body, dict) and "seconds" in case.body:
        case.body["seconds"] = 0
    if case.query and "pause" in case.query:
        case.query["pause"] = 0
    response = case.call()
    assert response.status_code != 500
    excluded = checks()
    if case.path == "/leaves/rake":
        # It is also the leaf "rake": a key that is text may be the name of an action.
        excluded = checks("allow_header_conformance")
    if response.status_code == 504 and "X-Request-Timeout" in (case.headers or {}):
        # Whoever has no time gets no answer.
        excluded = checks("not_a_server_error")
    case.validate_response(response, excluded_checks=excluded)


db.connect("sqlite://")
contract = schemathesis.openapi.from_asgi(
    "/openapi.json",
    make_contract_app(),
    config=SchemathesisConfig.from_dict({"generation": {"deterministic": True}}),
)


@contract.parametrize()
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_no_response_of_the_whole_contract_is_either(case: schemathesis.Case[Any]) -> None:
    db.create_all()
    response = case.call()
    assert response.status_code != 500
    excluded = checks()
    if case.path.startswith("/comments"):
        # What a permission of the service's own asks for is not known; here it is nothing.
        excluded = checks("ignored_auth", "missing_required_header")
    if response.status_code == 504 and "X-Request-Timeout" in (case.headers or {}):
        excluded = checks("not_a_server_error")
    case.validate_response(response, excluded_checks=excluded)
