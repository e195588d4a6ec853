"""Nested resources, expansion and filters through relations, over every protocol and database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from bali.concurrency import run_blocking
from bali.errors import BaliError, Code
from bali.testing import LiveServer, RpcServiceClient, ServiceClient, at_most_queries
from tests.behaviour.relations_service import Customer, Line, Order, Product, db, make_app
from tests.protocols import ANN, BOB, DATABASES, NOWHERE, fields_of, live_on, refused, value


@pytest.fixture(scope="module", params=DATABASES)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with live_on(request, tmp_path_factory, db, make_app) as server:
        yield server


@pytest.fixture
def title() -> str:
    return f"o-{uuid.uuid4().hex[:12]}"


def made(item: Any) -> Any:
    """Store an object and return it."""
    return run_blocking(item.aio.save())


def customer(name: str, agent: str = "") -> int:
    """Return the key of a new customer."""
    return int(made(Customer(name=name, agent=agent)).id)


def order(customer_id: int, title: str, agent: str = "") -> int:
    """Return the key of a new order."""
    return int(made(Order(customer_id=customer_id, title=title, agent=agent)).id)


def call(
    client: ServiceClient, operation: str, metadata: Any = None, /, **arguments: Any
) -> dict[str, Any]:
    return value(client.call(operation, arguments, metadata=metadata))


def code(client: ServiceClient, operation: str, metadata: Any = None, /, **arguments: Any) -> Code:
    return refused(client, operation, metadata, **arguments).code


def titles(page: dict[str, Any]) -> list[str]:
    return sorted(item["title"] for item in page["items"])


def stored(title: str) -> dict[str, tuple[int, bool]]:
    """Return the customer of each order whose title begins so, and whether the order is there."""
    found: list[Any] = list(run_blocking(Order.aio.filter(title__startswith=title)))
    return {item.title: (item.customer_id, item.deleted_time is None) for item in found}


class TestNested:
    def test_the_items_are_those_of_the_parent(self, client: ServiceClient, title: str) -> None:
        one, other = customer(title), customer(title)
        mine = call(client, "orders.create", customer_id=one, order={"title": f"{title}-1"})
        assert mine["customer_id"] == one
        order(other, f"{title}-2")
        assert titles(call(client, "orders.list", customer_id=one)) == [f"{title}-1"]
        assert call(client, "orders.list", customer_id=one, with_total=True)["total"] == 1
        assert call(client, "orders.get", customer_id=one, id=mine["id"]) == mine
        key = mine["id"]
        changed = call(
            client, "orders.update", customer_id=one, id=key, order={"title": f"{title}-3"}
        )
        assert (changed["title"], changed["customer_id"]) == (f"{title}-3", one)
        client.call("orders.delete", {"customer_id": one, "id": key})
        assert titles(call(client, "orders.list", customer_id=one)) == []
        client.call("orders.undelete", {"customer_id": one, "id": key})
        assert titles(call(client, "orders.list", customer_id=one)) == [f"{title}-3"]

    def test_what_another_parent_has_is_not_there(self, client: ServiceClient, title: str) -> None:
        one, other = customer(title), customer(title)
        key = order(one, title)
        before = stored(title)
        arguments: list[tuple[str, dict[str, Any]]] = [
            ("orders.get", {"id": key}),
            ("orders.get", {"id": key, "show_deleted": True}),
            ("orders.update", {"id": key, "order": {"title": "x"}}),
            ("orders.update", {"id": key, "order": {"title": "x"}, "etag": "*"}),
            ("orders.delete", {"id": key}),
            ("orders.undelete", {"id": key}),
            ("orders.rename", {"id": key, "title": "x"}),
            ("orders.batch_get", {"ids": [key]}),
            ("orders.batch_update", {"requests": [{"id": key, "order": {"title": "x"}}]}),
            ("orders.batch_delete", {"ids": [key]}),
        ]
        for operation, given in arguments:
            assert code(client, operation, customer_id=other, **given) is Code.NOT_FOUND, operation
        assert stored(title) == before

    def test_nobody_moves_an_item(self, client: ServiceClient, title: str) -> None:
        one, other = customer(title), customer(title)
        mine = call(
            client, "orders.create", customer_id=one, order={"title": title, "customer_id": other}
        )
        key = mine["id"]
        call(
            client,
            "orders.update",
            customer_id=one,
            id=key,
            order={"title": f"{title}-1", "customer_id": other},
        )
        error = refused(
            client,
            "orders.update",
            customer_id=one,
            id=key,
            order={"customer_id": other},
            update_mask=["customer_id"],
        )
        assert fields_of(error) == {"update_mask": "OUTPUT_ONLY"}
        error = refused(client, "orders.hand_over", customer_id=one, id=key, to=other)
        assert (error.code, error.reason) == (Code.PERMISSION_DENIED, "NOT_VISIBLE")
        assert stored(title) == {f"{title}-1": (one, True)}

    def test_a_parent_has_to_be_there(self, client: ServiceClient, title: str) -> None:
        gone = customer(title)
        key = order(gone, title)
        run_blocking(Customer.aio.get(gone))
        client.call("customers.delete", {"id": gone})
        for parent in (gone, NOWHERE, 2**62):
            for operation, given in (
                ("orders.list", {}),
                ("orders.list", {"show_deleted": True}),
                ("orders.list", {"with_total": True}),
                ("orders.get", {"id": key}),
                ("orders.create", {"order": {"title": f"{title}-2"}}),
                ("orders.batch_create", {"requests": [{"order": {"title": f"{title}-2"}}]}),
                ("orders.batch_get", {"ids": [key]}),
                ("orders.update", {"id": key, "order": {"title": "x"}}),
                ("orders.delete", {"id": key}),
                ("orders.count", {}),
                ("orders.search", {}),
                ("orders.ping", {}),
            ):
                found = code(client, operation, customer_id=parent, **given)
                assert found is Code.NOT_FOUND, operation
            with pytest.raises(BaliError) as caught:
                list(client.stream("orders.watch", {"customer_id": parent}))
            assert caught.value.code is Code.NOT_FOUND
        assert stored(title) == {title: (gone, True)}

    def test_a_parent_has_to_be_visible(self, client: ServiceClient, title: str) -> None:
        hers = customer(title, agent="ann")
        key = order(hers, title)
        assert titles(call(client, "orders.list", ANN, customer_id=hers)) == [title]
        assert call(client, "orders.get", ANN, customer_id=hers, id=key)["title"] == title
        for operation, given in (
            ("orders.list", {}),
            ("orders.get", {"id": key}),
            ("orders.create", {"order": {"title": f"{title}-2"}}),
            ("orders.batch_get", {"ids": [key]}),
            ("orders.batch_delete", {"ids": [key]}),
            ("orders.count", {}),
            ("orders.ping", {}),
            ("lines.list", {"order_id": key}),
            ("lines.create", {"order_id": key, "line": {"amount": 2}}),
        ):
            assert code(client, operation, BOB, customer_id=hers, **given) is Code.NOT_FOUND
        assert stored(title) == {title: (hers, True)}

    def test_what_a_caller_does_not_see_is_not_there(
        self, client: ServiceClient, title: str
    ) -> None:
        ours = customer(title)
        order(ours, f"{title}-a", agent="ann")
        his = order(ours, f"{title}-b", agent="bob")
        assert titles(call(client, "orders.list", ANN, customer_id=ours)) == [f"{title}-a"]
        assert call(client, "orders.count", ANN, customer_id=ours)["count"] == 1
        assert titles(call(client, "orders.search", ANN, customer_id=ours)) == [f"{title}-a"]
        streamed = client.stream("orders.watch", {"customer_id": ours}, metadata=ANN)
        assert [value(item)["title"] for item in streamed] == [f"{title}-a"]
        assert code(client, "orders.get", ANN, customer_id=ours, id=his) is Code.NOT_FOUND
        assert code(client, "lines.list", ANN, customer_id=ours, order_id=his) is Code.NOT_FOUND

    def test_parents_have_parents(self, client: ServiceClient, title: str) -> None:
        one, other = customer(title), customer(title)
        mine, yours = order(one, title), order(other, f"{title}-2")
        place = {"customer_id": one, "order_id": mine}
        line = call(client, "lines.create", **place, line={"amount": 3})
        assert line["order_id"] == mine
        made(Line(order_id=yours))
        assert [item["id"] for item in call(client, "lines.list", **place)["items"]] == [line["id"]]
        assert call(client, "lines.get", **place, id=line["id"]) == line
        many = call(client, "lines.batch_get", **place, ids=[line["id"]])["items"]
        assert many == [line]
        for wrong in (
            {"customer_id": other, "order_id": mine},
            {"customer_id": one, "order_id": yours},
            {"customer_id": NOWHERE, "order_id": mine},
        ):
            assert code(client, "lines.list", **wrong) is Code.NOT_FOUND
            assert code(client, "lines.get", **wrong, id=line["id"]) is Code.NOT_FOUND
            assert code(client, "lines.create", **wrong, line={"amount": 1}) is Code.NOT_FOUND
        client.call("orders.delete", {"customer_id": one, "id": mine})
        assert code(client, "lines.list", **place) is Code.NOT_FOUND

    def test_batches_are_of_one_parent(self, client: ServiceClient, title: str) -> None:
        one, other = customer(title), customer(title)
        requests: list[dict[str, Any]] = [{"order": {"title": f"{title}-{n}"}} for n in range(3)]
        requests[0]["customer_id"] = one
        items = call(client, "orders.batch_create", customer_id=one, requests=requests)["items"]
        assert [item["customer_id"] for item in items] == [one] * 3
        ids = [item["id"] for item in items]
        changes = [{"id": key, "order": {"title": f"{title}-x"}} for key in ids]
        call(client, "orders.batch_update", customer_id=one, requests=changes)
        found = call(client, "orders.batch_get", customer_id=one, ids=ids)["items"]
        assert {item["title"] for item in found} == {f"{title}-x"}
        requests[1]["customer_id"] = other
        error = refused(client, "orders.batch_create", customer_id=one, requests=requests)
        assert fields_of(error) == {"requests[1].customer_id": "CONTRADICTION"}
        ids.append(order(other, f"{title}-y"))
        for operation in ("orders.batch_get", "orders.batch_delete"):
            assert code(client, operation, customer_id=one, ids=ids) is Code.NOT_FOUND
        client.call("orders.batch_delete", {"customer_id": one, "ids": ids[:3]})
        assert titles(call(client, "orders.list", customer_id=one)) == []

    def test_a_page_token_is_of_one_parent(self, client: ServiceClient, title: str) -> None:
        one, other = customer(title), customer(title)
        for number in range(3):
            order(one, f"{title}-{number}")
            order(other, f"{title}-{number}")
        page = call(client, "orders.list", customer_id=one, page_size=2, order_by="title")
        rest = {"page_token": page["next_page_token"], "page_size": 2, "order_by": "title"}
        assert titles(call(client, "orders.list", customer_id=one, **rest)) == [f"{title}-2"]
        error = refused(client, "orders.list", customer_id=other, **rest)
        assert error.reason == "PAGE_TOKEN_MISMATCH"

    def test_a_request_id_is_of_one_parent(self, client: ServiceClient, title: str) -> None:
        one, other = customer(title), customer(title)
        given = {"order": {"title": title}, "request_id": title}
        first = call(client, "orders.create", customer_id=one, **given)
        assert call(client, "orders.create", customer_id=one, **given) == first
        error = refused(client, "orders.create", customer_id=other, **given)
        assert fields_of(error) == {"request_id": "REQUEST_ID_REUSED"}

    def test_reading_takes_one_statement(self, client: ServiceClient, title: str) -> None:
        one = customer(title)
        key = order(one, title)
        with at_most_queries(db, 1):
            call(client, "orders.list", ANN, customer_id=one)
        with at_most_queries(db, 1):
            call(client, "orders.get", ANN, customer_id=one, id=key)


class TestNestedOverHttp:
    def test_paths_hold_the_keys(self, live: LiveServer, title: str) -> None:
        one = customer(title)
        with httpx2.Client(base_url=live.url) as http:
            answer = http.post(f"/customers/{one}/orders", json={"title": title})
            assert answer.status_code == 201
            place = answer.headers["location"]
            assert place == f"/customers/{one}/orders/{answer.json()['id']}"
            assert http.get(place).json() == answer.json()
            key = place.rpartition("/")[2]
            many = http.get(f"/customers/{one}/orders:batchGet", params={"ids": key})
            assert many.json()["items"] == [answer.json()]
            assert http.get(f"/customers/{one}/orders/count").json() == {"count": 1}
            renamed = http.post(f"{place}/rename", json={"title": f"{title}-2"})
            assert renamed.json()["title"] == f"{title}-2"
            assert http.delete(place).status_code == 204
            assert http.get(place).status_code == 404
            assert http.post(f"{place}:undelete").status_code == 200
            twice = http.get(f"/customers/{one}/orders", params={"customer_id": one})
            assert twice.status_code == 422
            inside = http.post(f"{place}/rename", json={"title": "x", "customer_id": one})
            assert inside.json()["errors"][0]["description"] == "is given by the path"
            assert http.get(f"/customers/{NOWHERE}/orders").status_code == 404
            wrong = http.get("/customers/x/orders")
            assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "customer_id")
            assert http.get("/orders").status_code == 404

    def test_openapi_tells_of_them(self, live: LiveServer) -> None:
        told = httpx2.get(f"{live.url}/openapi.json").json()
        item = "/customers/{customer_id}/orders/{order_id}/lines/{id}"
        names = [
            (parameter["name"], parameter["in"], parameter["schema"]["type"])
            for parameter in told["paths"][item]["get"]["parameters"]
            if "name" in parameter
        ]
        assert names[:3] == [
            ("customer_id", "path", "integer"),
            ("order_id", "path", "integer"),
            ("id", "path", "integer"),
        ]
        create = told["paths"]["/customers/{customer_id}/orders"]["post"]
        assert "404" in create["responses"]
        reference = create["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        body = told["components"]["schemas"][reference.rpartition("/")[2]]
        assert body["required"] == ["title"]
        assert body["properties"]["customer_id"]["readOnly"] is True
        batch = told["paths"]["/customers/{customer_id}/orders:batchCreate"]["post"]
        assert "customer_id" in [item.get("name") for item in batch["parameters"]]


class Shop:
    """Two orders of a customer with lines of three products, one of which is Ann's alone."""

    def __init__(self, title: str) -> None:
        self.customer = customer(title)
        self.products = [f"{title}-{name}" for name in "abc"]
        for key, agent in zip(self.products, ("", "", "ann"), strict=True):
            run_blocking(Product.aio.create(id=key, name=key, agent=agent))
        self.orders = [order(self.customer, f"{title}-{n}") for n in range(2)]
        for number, order_id in enumerate(self.orders):
            for product in self.products[number:]:
                made(Line(order_id=order_id, product_id=product))
        self.place = {"customer_id": self.customer}


def inside(item: Any, name: str) -> Any:
    """Return the value of a field that may be absent from an object."""
    return item.__dict__.get(name, "absent")


class TestExpansion:
    @pytest.fixture
    def shop(self, live: LiveServer, title: str) -> Shop:
        return Shop(title)

    def get(self, client: ServiceClient, shop: Shop, metadata: Any = None, **more: Any) -> Any:
        arguments = {**shop.place, "id": shop.orders[0], **more}
        return client.call("orders.get", arguments, metadata=metadata)

    def test_nothing_is_expanded_unasked(self, client: ServiceClient, shop: Shop) -> None:
        with at_most_queries(db, 1):
            item = self.get(client, shop)
        assert (inside(item, "lines"), inside(item, "customer")) == ("absent", "absent")
        with at_most_queries(db, 1):
            page: Any = client.call("orders.list", shop.place)
        assert [inside(item, "lines") for item in page.items] == ["absent"] * 2
        with at_most_queries(db, 3):  # of the parent, the page and the number of items
            client.call("orders.list", {**shop.place, "with_total": True})

    def test_what_is_asked_for_is_there(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        item = self.get(client, shop, expand=["customer", "lines"])
        assert (item.id, item.customer.id, item.customer.name) == (
            shop.orders[0],
            shop.customer,
            title,
        )
        assert [line.product_id for line in item.lines] == shop.products
        assert {line.order_id for line in item.lines} == {item.id}

    def test_lists_and_batches_expand(self, client: ServiceClient, shop: Shop) -> None:
        wanted = [shop.products, shop.products[1:]]
        many: Any = client.call(
            "orders.batch_get", {**shop.place, "ids": shop.orders, "expand": ["lines"]}
        )
        assert [[line.product_id for line in item.lines] for item in many.items] == wanted
        for more in ({}, {"page_size": 1000, "with_total": True}, {"order_by": "title"}):
            page: Any = client.call("orders.list", {**shop.place, "expand": ["lines"], **more})
            assert [[line.product_id for line in item.lines] for item in page.items] == wanted

    def test_paths_go_on(self, client: ServiceClient, shop: Shop) -> None:
        item = self.get(client, shop, expand=["lines.product", "lines.order.customer"])
        assert [line.product.id for line in item.lines] == shop.products
        assert {line.order.customer.id for line in item.lines} == {shop.customer}
        assert inside(item.lines[0].order, "lines") in ("absent", [])

    def test_the_number_of_statements_is_fixed(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        arguments = {**shop.place, "expand": ["customer", "lines.product"]}
        for number in range(20):
            key = order(shop.customer, f"{title}-x{number}")
            for product in shop.products:
                made(Line(order_id=key, product_id=product))
        with at_most_queries(db, 4) as counted:
            page: Any = client.call("orders.list", arguments)
        assert counted.count == 4
        assert [len(item.lines) for item in page.items] == [3, 2, *[3] * 20]
        with at_most_queries(db, 4):
            self.get(client, shop, expand=arguments["expand"])

    def test_what_belongs_to_others_is_not_in_it(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        expand = ["lines.product"]
        hers = self.get(client, shop, ANN, expand=expand)
        assert [line.product.id for line in hers.lines] == shop.products
        his = self.get(client, shop, BOB, expand=expand)
        assert [line.product and line.product.id for line in his.lines] == [
            *shop.products[:2],
            None,
        ]
        order(shop.customer, f"{title}-ann", agent="ann")
        arguments = {"id": shop.customer, "expand": ["orders.lines.product"]}
        found: Any = client.call("customers.get", arguments, metadata=BOB)
        assert [item.title for item in found.orders] == [f"{title}-0", f"{title}-1"]
        names = {line.product.id for item in found.orders for line in item.lines if line.product}
        assert names == set(shop.products[:2])

    def test_nested_items_of_hidden_parents_are_not_in_it(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        hers = order(customer(title, agent="ann"), f"{title}-h")
        made(Line(order_id=hers, product_id=shop.products[0]))
        arguments = {"id": shop.products[0], "expand": ["lines.order.customer"]}
        found: Any = client.call("products.get", arguments, metadata=ANN)
        assert {line.order_id for line in found.lines} == {shop.orders[0], hers}
        found = client.call("products.get", arguments, metadata=BOB)
        assert {line.order_id for line in found.lines} == {shop.orders[0]}
        client.call("orders.delete", {**shop.place, "id": shop.orders[0]})
        found = client.call("products.get", arguments, metadata=BOB)
        assert found.lines == []

    def test_deleted_items_are_not_in_it(self, client: ServiceClient, shop: Shop) -> None:
        client.call("orders.delete", {**shop.place, "id": shop.orders[0]})
        arguments = {"id": shop.customer, "expand": ["orders"]}
        found: Any = client.call("customers.get", arguments)
        assert [item.id for item in found.orders] == [shop.orders[1]]
        found = client.call("customers.get", {**arguments, "show_deleted": True})
        assert [item.id for item in found.orders] == [shop.orders[1]]

    @pytest.mark.parametrize(
        "paths",
        [
            ["nothing"],
            ["title"],
            ["lines.nothing"],
            ["lines.product.lines.order"],
            ["customer."],
            ["lines" * 100],
            [*["customer"] * 11],
            ["__class__"],
        ],
        ids=lambda paths: paths[0][:30],
    )
    def test_what_cannot_be_expanded_is_refused(
        self, client: ServiceClient, shop: Shop, paths: list[str]
    ) -> None:
        for operation, given in (
            ("orders.get", {"id": shop.orders[0]}),
            ("orders.list", {}),
            ("orders.batch_get", {"ids": shop.orders}),
        ):
            error = refused(client, operation, **shop.place, **given, expand=paths)
            assert list(fields_of(error)) == ["expand"]

    def test_the_body_of_a_change_cannot_set_it(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        item = self.get(client, shop, expand=["customer"])
        sent = {"title": f"{title}-new", "customer": {"name": "x", "agent": ""}, "lines": []}
        changed = client.call("orders.update", {**shop.place, "id": item.id, "order": sent})
        assert inside(changed, "title") == f"{title}-new"
        found = self.get(client, shop, expand=["customer", "lines"])
        assert (found.customer.name, len(found.lines)) == (title, 3)

    def test_a_mask_chooses_within_it(self, client: ServiceClient, shop: Shop) -> None:
        item = self.get(client, shop, expand=["lines"], read_mask=["id", "lines.*.amount"])
        assert inside(item, "title") == "absent"
        assert [line.amount for line in item.lines] == [1, 1, 1]


class TestExpansionOnTheWire:
    def test_rest_leaves_out_what_is_not_expanded(self, live: LiveServer, title: str) -> None:
        shop = Shop(title)
        address = f"{live.url}/customers/{shop.customer}/orders/{shop.orders[0]}"
        plain = httpx2.get(address)
        assert not plain.json().keys() & {"customer", "lines"}
        full = httpx2.get(address, params={"expand": "customer,lines.product"})
        assert full.json().keys() - plain.json().keys() == {"customer", "lines"}
        assert "orders" not in full.json()["customer"]
        assert full.json()["lines"][0]["product"]["id"] == shop.products[0]
        assert full.headers["etag"] == plain.headers["etag"]
        changed = httpx2.patch(
            address, json={"title": f"{title}-n"}, headers={"If-Match": full.headers["etag"]}
        )
        assert changed.status_code == 200

    def test_grpc_leaves_out_what_is_not_expanded(self, live: LiveServer, title: str) -> None:
        shop = Shop(title)
        client = RpcServiceClient(live)
        method = client._method("orders.get")
        stub = client.channel.unary_unary(
            method.path, method.input_type.SerializeToString, method.output_type.FromString
        )
        arguments = {**shop.place, "id": shop.orders[0]}
        plain: Any = stub(method.encode_request(arguments))
        assert not plain.HasField("customer")
        assert len(plain.lines) == 0
        full: Any = stub(method.encode_request({**arguments, "expand": ["customer", "lines"]}))
        assert full.customer.id == shop.customer
        assert len(full.lines) == 3
        assert not full.lines[0].HasField("product")
        client.close()

    def test_openapi_tells_of_it(self, live: LiveServer) -> None:
        told = httpx2.get(f"{live.url}/openapi.json").json()
        read = told["paths"]["/customers/{customer_id}/orders/{id}"]["get"]
        assert "expand" in [item.get("name") for item in read["parameters"]]
        order = read["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        schema = told["components"]["schemas"][order.rpartition("/")[2]]
        assert {"customer", "lines"} <= schema["properties"].keys()
        assert not {"customer", "lines"} & set(schema["required"])


class TestFilter:
    @pytest.fixture
    def shop(self, live: LiveServer, title: str) -> Shop:
        return Shop(title)

    def orders(
        self, client: ServiceClient, shop: Shop, text: str, metadata: Any = None, **more: Any
    ) -> list[str]:
        arguments = {**shop.place, "filter": text, **more}
        return titles(call(client, "orders.list", metadata, **arguments))

    def test_a_filter_looks_through_a_relation(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        both = [f"{title}-0", f"{title}-1"]
        assert self.orders(client, shop, f'customer.name = "{title}"') == both
        assert self.orders(client, shop, 'customer.name = "x"') == []
        assert self.orders(client, shop, 'customer.name != "x"') == both
        assert self.orders(client, shop, f'NOT customer.name = "{title}"') == []
        assert self.orders(client, shop, f'customer.name : "{title.upper()}"') == both
        with at_most_queries(db, 1):
            self.orders(client, shop, f'customer.name = "{title}"')

    def test_any_of_many_fits(self, client: ServiceClient, shop: Shop, title: str) -> None:
        both = [f"{title}-0", f"{title}-1"]
        text = f'lines.product.name = "{shop.products[0]}"'
        assert self.orders(client, shop, text) == [f"{title}-0"]
        assert self.orders(client, shop, f"NOT ({text})") == [f"{title}-1"]
        assert self.orders(client, shop, f"-{text}") == [f"{title}-1"]
        assert self.orders(client, shop, f'lines.product.name = "{title}-*"') == both
        order(shop.customer, f"{title}-2")
        assert self.orders(client, shop, "lines.amount:*") == both
        assert self.orders(client, shop, "lines.amount = null") == [f"{title}-2"]
        assert self.orders(client, shop, "lines.amount >= 1 AND lines.amount < 2") == both
        for more in ({"with_total": True}, {"order_by": "title desc"}, {"page_size": 1}):
            found = self.orders(client, shop, text, **more)
            assert found == [f"{title}-0"]
        page = call(client, "orders.list", **shop.place, filter=text, with_total=True)
        assert page["total"] == 1

    def test_what_belongs_to_others_fits_nothing(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        text = f'lines.product.name = "{shop.products[2]}"'
        both = [f"{title}-0", f"{title}-1"]
        assert self.orders(client, shop, text, ANN) == both
        assert self.orders(client, shop, text, BOB) == []
        assert self.orders(client, shop, f"NOT {text}", BOB) == both
        order(shop.customer, f"{title}-h", agent="ann")
        mine = f'name = "{title}" AND orders.title = "{title}-h"'
        for caller, count in ((ANN, 1), (BOB, 0), (None, 1)):
            found = call(client, "customers.list", caller, filter=mine, with_total=True)
            assert (len(found["items"]), found["total"]) == (count, count)
        secret = customer(f"{title}-s", agent="ann")
        made(Line(order_id=order(secret, f"{title}-t"), product_id=shop.products[0]))
        for text in (
            f'lines.order.title = "{title}-t"',
            f'lines.order.customer.name = "{title}-s"',
        ):
            for caller, ids in ((ANN, [shop.products[0]]), (BOB, [])):
                found = call(client, "products.list", caller, filter=text)
                assert [item["id"] for item in found["items"]] == ids

    def test_actions_with_a_list_request_are_alike(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        text = f'lines.product.name = "{shop.products[2]}"'
        for caller, count in ((ANN, 2), (BOB, 0)):
            found = call(client, "orders.search", caller, **shop.place, filter=text)
            assert len(found["items"]) == count

    def test_what_is_deleted_fits_nothing(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        text = f'orders.title = "{title}-0"'
        assert len(call(client, "customers.list", filter=text)["items"]) == 1
        client.call("orders.delete", {**shop.place, "id": shop.orders[0]})
        assert call(client, "customers.list", filter=text)["items"] == []
        found = call(client, "customers.list", filter=text, show_deleted=True)
        assert found["items"] == []

    @pytest.mark.parametrize(
        "text",
        [
            "customer.agent = x",
            "customer = x",
            "lines.order.title = x",
            "title.length = 1",
            "lines.amount = x",
            "customer.name.first = x",
        ],
    )
    def test_a_path_has_to_be_declared(self, client: ServiceClient, shop: Shop, text: str) -> None:
        error = refused(client, "orders.list", **shop.place, filter=text)
        assert list(fields_of(error)) == ["filter"]

    def test_a_word_is_searched_in_the_item_alone(
        self, client: ServiceClient, shop: Shop, title: str
    ) -> None:
        assert self.orders(client, shop, f'"{title}-0"') == [f"{title}-0"]
        assert self.orders(client, shop, f'"{shop.products[0]}"') == []
