from __future__ import annotations

import gzip
import hashlib
import re
from importlib.resources import files

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from bali.rest import install_docs
from tests.rest.service import make_app

ADDRESS = re.compile(r"""(?:href|src|spec-url|url)["']?\s*[=:]\s*["']([^"']+)["']""")


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
@pytest.mark.parametrize("root", ["", "/outside"])
def test_a_page_needs_nothing_from_elsewhere(page: str, root: str) -> None:
    client = TestClient(make_app(), root_path=root)
    response = client.get(page)
    assert response.headers["content-type"].startswith("text/html")
    assert "//" not in re.sub(r"^\s*//.*$", "", response.text, flags=re.MULTILINE).replace(
        "window.location.origin + ", ""
    )
    addresses = ADDRESS.findall(response.text)
    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith(f"{root}/")
        found = client.get(address.removeprefix(root))
        assert found.status_code == 200, address


def test_no_validator_of_somebody_else_is_asked(client: TestClient) -> None:
    assert '"validatorUrl": null' in client.get("/docs").text


def test_what_the_user_says_of_swagger_is_respected() -> None:
    app = make_app(
        swagger_ui_parameters={"deepLinking": False}, swagger_ui_init_oauth={"clientId": "me"}
    )
    text = TestClient(app).get("/docs").text
    assert '"deepLinking": false' in text
    assert '"clientId": "me"' in text
    assert TestClient(app).get("/docs/oauth2-redirect").status_code == 200


@pytest.mark.parametrize(
    "name", ["swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js", "favicon.png"]
)
def test_an_asset_is_what_its_publisher_published(client: TestClient, name: str) -> None:
    table = files("bali.rest").joinpath("static", "README.md").read_text()
    row = next(line for line in table.splitlines() if line.startswith(f"| {name} |"))
    digest = row.split("|")[5].strip()
    plain = client.get(f"/docs/static/{name}", headers={"accept-encoding": "identity"})
    assert hashlib.sha256(plain.content).hexdigest() == digest
    packed = client.get(f"/docs/static/{name}", headers={"accept-encoding": "gzip"})
    assert packed.content == plain.content
    assert ("content-encoding" in packed.headers) == (name != "favicon.png")
    again = client.get(f"/docs/static/{name}", headers={"if-none-match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_assets_are_kept_compressed_without_a_time_stamp() -> None:
    static = files("bali.rest").joinpath("static")
    packed = [item for item in static.iterdir() if item.name.endswith(".gz")]
    assert len(packed) == 3
    for item in packed:
        data = item.read_bytes()
        assert data[4:8] == bytes(4)
        assert gzip.decompress(data)


def test_no_other_file_is_served(client: TestClient) -> None:
    for name in ("README.md", "..%2Fdocs.py", "nothing", "swagger-ui.css.gz"):
        assert client.get(f"/docs/static/{name}").status_code == 404


def test_pages_can_be_left_out_or_moved() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    install_docs(app, docs_url=None, redoc_url="/manual")
    client = TestClient(app)
    assert client.get("/docs").status_code == 404
    assert client.get("/manual/static/redoc.standalone.js").status_code == 200
    bare = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    routes = len(bare.routes)
    install_docs(bare)
    assert len(bare.routes) == routes
    install_docs(app, docs_url=None, redoc_url=None)
    assert client.get("/docs").status_code == 404
