from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, Query
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field
from starlette.testclient import TestClient

from bali.resources import AllowAny, Collector, Pipeline, Resource, action
from bali.rest import build_openapi, install_errors, resource_router
from tests.rest.service import Parcel, ParcelResource, ParcelStore, make_app, make_specs

KEY = APIKeyHeader(name="X-Key")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return make_app().openapi()


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for path in document["paths"].values() for item in path.values()]


def names(operation: dict[str, Any], place: str) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in operation["parameters"] if item.get("in") == place}


def resolved(document: dict[str, Any], reference: str) -> Any:
    part: Any = document
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in references(value)]
    if isinstance(part, list):
        return [found for value in part for found in references(value)]
    return []


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert "#/components/schemas/Parcel" in found
    for reference in found:
        assert resolved(document, reference)
    unused = {
        name
        for name in document["components"]["schemas"]
        if f"#/components/schemas/{name}" not in found
    }
    assert unused == set()


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [item["operationId"] for item in operations(document)]
    assert len(ids) == len(set(ids))
    assert {"parcels_list", "parcels_import_labels", "parcels_import_labels_put"} <= set(ids)


def test_words_come_from_docstrings(document: dict[str, Any]) -> None:
    move = document["paths"]["/parcels/{id}/move"]["post"]
    assert move["summary"] == "Move a parcel."
    assert "on its way" in move["description"]
    assert move["tags"] == ["parcels"]
    assert {"name": "parcels", "description": "Parcels, and what can be done with them."} in (
        document["tags"]
    )


def test_parameters_have_types_limits_and_descriptions(document: dict[str, Any]) -> None:
    query = names(document["paths"]["/parcels"]["get"], "query")
    assert query["page_size"]["schema"] == {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "maximum": 1000,
    }
    assert query["page_size"]["description"].startswith("How many")
    assert query["limit"]["schema"] == query["page_size"]["schema"]
    assert {"offset", "ordering", "skip", "order_by", "with_total", "label"} <= query.keys()
    assert query["id__in"]["schema"]["type"] == "array"
    assert query["skip"]["schema"]["default"] == 0
    census = names(document["paths"]["/parcels/census"]["get"], "query")
    assert census["size"]["schema"] == {"$ref": "#/components/schemas/Size"}
    key = names(document["paths"]["/parcels/{id}"]["get"], "path")["id"]
    assert key == {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "format": "int64"},
    }
    leaf = names(document["paths"]["/leaves/{id}"]["get"], "path")["id"]
    assert leaf["schema"] == {"type": "string", "minLength": 1}
    for operation in operations(document):
        if operation["operationId"].startswith("parcels_"):
            shared = [item.get("$ref") for item in operation["parameters"]]
            assert "#/components/parameters/XRequestTimeout" in shared
            assert "#/components/parameters/XRequestId" in shared


def test_bodies_have_schemas_and_examples(document: dict[str, Any]) -> None:
    create = document["paths"]["/parcels"]["post"]["requestBody"]
    assert create["required"] is True
    content = create["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/CreateParcelInput"}
    assert content["examples"] == {"example1": {"value": {"label": "books"}}}
    schemas = document["components"]["schemas"]
    made = schemas["CreateParcelInput"]
    assert made["required"] == ["label"]
    assert made["additionalProperties"] is False
    assert made["properties"]["id"]["readOnly"] is True
    assert "default" not in made["properties"]["id"]
    assert made["properties"]["label"]["maxLength"] == 20
    assert made["properties"]["label"]["description"] == "What it says on it."
    changed = schemas["UpdateParcelInput"]
    assert "required" not in changed
    assert not any("default" in field for field in changed["properties"].values())
    update = document["paths"]["/parcels/{id}"]["patch"]
    assert update["requestBody"]["required"] is False
    assert "update_mask" in names(update, "query")
    listed = document["paths"]["/parcels/import-labels"]["post"]["requestBody"]["content"]
    whole = listed["application/json"]["schema"]
    assert (whole["title"], whole["required"]) == ("ImportLabelsParcelsRequest", ["labels"])
    rake = document["paths"]["/leaves/rake"]["post"]["requestBody"]
    assert rake["required"] is False


def test_answers_have_schemas(document: dict[str, Any]) -> None:
    create = document["paths"]["/parcels"]["post"]["responses"]["201"]
    assert create["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Parcel"
    }
    assert {"Location", "X-Request-Id"} == create["headers"].keys()
    assert "content" not in document["paths"]["/parcels/{id}"]["delete"]["responses"]["204"]
    schemas = document["components"]["schemas"]
    page = schemas["ListParcelsResponse"]["properties"]
    assert page["items"]["items"] == {"$ref": "#/components/schemas/Parcel"}
    assert schemas["Everything"]["properties"]["raw"] == {
        "type": "string",
        "format": "byte",
        "contentEncoding": "base64",
        "title": "Raw",
    }
    assert schemas["Parcel"]["examples"] == [{"id": 1, "label": "books"}]
    swept = document["paths"]["/probes/sweep"]["delete"]["responses"]
    assert "204" in swept or swept["200"]["content"]["application/json"]["schema"]["type"] == (
        "object"
    )


def test_errors_are_problems(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
    get = document["paths"]["/parcels/{id}"]["get"]["responses"].keys()
    assert {"400", "404", "422", "429", "500", "503", "504"} <= get
    assert not {"401", "403", "409", "413", "415"} & get
    create = document["paths"]["/parcels"]["post"]["responses"].keys()
    assert {"409", "413", "415"} <= create
    problem = document["components"]["responses"]["Unavailable"]
    assert list(problem["content"]) == ["application/problem+json"]
    assert "Retry-After" in problem["headers"]


def test_credentials_are_asked_for_where_they_are_needed(document: dict[str, Any]) -> None:
    whoami = document["paths"]["/probes/whoami"]["get"]
    assert whoami["security"] == [{"bearer": []}]
    assert {"401", "403"} <= whoami["responses"].keys()
    assert "security" not in document["paths"]["/probes/seen"]["get"]
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer"}
    }


def test_streams_tell_of_an_item(document: dict[str, Any]) -> None:
    content = document["paths"]["/probes/ticks"]["get"]["responses"]["200"]["content"]
    assert list(content) == ["text/event-stream", "application/x-ndjson", "application/jsonl"]
    data = content["text/event-stream"]["schema"]["properties"]["data"]
    assert data["contentSchema"]["anyOf"][0] == {"$ref": "#/components/schemas/Tick"}
    line = content["application/x-ndjson"]["schema"]["anyOf"]
    assert line[0] == {"$ref": "#/components/schemas/Tick"}


def test_streams_use_the_keyword_of_openapi_3_2() -> None:
    app = make_app()
    app.openapi_version = "3.2.0"
    content = app.openapi()["paths"]["/probes/ticks"]["get"]["responses"]["200"]["content"]
    assert "itemSchema" in content["text/event-stream"]
    assert "schema" not in content["application/jsonl"]


def test_plain_routes_are_in_the_same_document(document: dict[str, Any]) -> None:
    plain = document["paths"]["/plain"]["post"]
    assert plain["responses"]["422"] == {"$ref": "#/components/responses/ValidationFailed"}
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert "ValidationError" not in document["components"]["schemas"]


def test_the_document_is_made_once(document: dict[str, Any]) -> None:
    app = make_app()
    assert app.openapi() is app.openapi()
    served = TestClient(app).get("/openapi.json").json()
    assert served == json.loads(json.dumps(app.openapi()))
    assert json.dumps(app.openapi()) == json.dumps(document)


def built(*resources: type[Resource], **options: Any) -> tuple[FastAPI, dict[str, Any]]:
    Parcel.__store__ = ParcelStore()
    app = FastAPI()
    install_errors(app)
    collector = Collector()
    specs = [collector.collect(resource) for resource in resources]
    for spec in specs:
        app.include_router(resource_router(spec, Pipeline()), **options)
    return app, build_openapi(app, specs)


def test_an_app_without_resources_has_its_plain_routes() -> None:
    app = FastAPI()

    @app.get("/a")
    async def plain(limit: int) -> int:
        return limit

    document = build_openapi(app, [])
    responses = document["paths"]["/a"]["get"]["responses"]
    assert responses["422"] == {"$ref": "#/components/responses/ValidationFailed"}
    for reference in references(document):
        assert resolved(document, reference)


def test_prefixes_tags_and_deprecation_of_a_router_count() -> None:
    _, document = built(ParcelResource, prefix="/v1", tags=["old"], deprecated=True)
    operation = document["paths"]["/v1/parcels/{id}"]["get"]
    assert operation["tags"] == ["old", "parcels"]
    assert operation["deprecated"] is True


def test_a_router_may_be_left_out() -> None:
    _, document = built(ParcelResource, include_in_schema=False)
    assert document["paths"] == {}


def test_a_router_that_is_included_twice_has_unique_ids() -> None:
    Parcel.__store__ = ParcelStore()
    app, specs = FastAPI(), make_specs()[:1]
    router = resource_router(specs[0], Pipeline())
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    document = build_openapi(app, specs)
    ids = [item["operationId"] for item in operations(document)]
    assert len(ids) == len(set(ids))
    assert {"parcels_get", "parcels_get_2"} <= set(ids)


def test_dependencies_of_a_route_are_told_of() -> None:
    async def guard(
        tenant: Annotated[str, Query()],
        _: Annotated[str, Depends(KEY)],
        x_trace: Annotated[str | None, Header()] = None,
    ) -> str | None:
        return f"{tenant}{x_trace}"

    _, document = built(ParcelResource, dependencies=[Depends(guard)])
    operation = document["paths"]["/parcels"]["get"]
    assert "tenant" in names(operation, "query")
    assert "x-trace" in names(operation, "header")
    assert operation["security"] == [{"APIKeyHeader": []}]
    assert "APIKeyHeader" in document["components"]["securitySchemes"]
    for reference in references(document):
        assert resolved(document, reference)


def test_the_route_that_answers_is_the_one_that_is_told_of() -> None:
    specs = make_specs()[:1]
    app = FastAPI()

    @app.get("/parcels/census")
    async def mine() -> int:
        return 1

    app.include_router(resource_router(specs[0], Pipeline()))

    @app.get("/parcels")
    async def late() -> int:
        return 1

    document = build_openapi(app, specs)
    assert document["paths"]["/parcels/census"]["get"]["operationId"].startswith("mine")
    assert document["paths"]["/parcels"]["get"]["operationId"] == "parcels_list"


class Size(BaseModel):
    """A model that is called like something else elsewhere."""

    wide: int


class Thing(BaseModel):
    """Differs between what is taken and what is given."""

    size: Size
    count: int = 1
    price: Annotated[float, Field(ge=0)] = 0


class ThingResource(Resource):
    """Things."""

    @action(methods=["post"], permission_classes=[AllowAny])
    async def echo(self, schema_in: Thing) -> Thing:
        """Return what was sent."""
        return schema_in


def test_what_is_taken_and_what_is_given_have_names_of_their_own() -> None:
    _, document = built(ThingResource)
    schemas = document["components"]["schemas"]
    assert schemas["Thing"]["required"] == ["size", "count", "price"]
    assert schemas["ThingInput"]["required"] == ["size"]
    operation = document["paths"]["/things/echo"]["post"]
    taken = operation["requestBody"]["content"]["application/json"]["schema"]
    assert taken == {"$ref": "#/components/schemas/ThingInput"}
    assert "security" not in operation


def test_a_name_that_a_plain_route_uses_is_not_taken_from_it() -> None:
    class Thing(BaseModel):  # another one
        other: str

    app, specs = FastAPI(), [Collector().collect(ThingResource)]

    async def plain() -> Any:
        return {}

    app.add_api_route("/plain", plain, response_model=Thing)
    app.include_router(resource_router(specs[0], Pipeline()))
    document = build_openapi(app, specs)
    schemas = document["components"]["schemas"]
    assert list(schemas["Thing"]["properties"]) == ["other"]
    assert "size" in schemas["Thing2"]["properties"]
    for reference in references(document):
        assert resolved(document, reference)
