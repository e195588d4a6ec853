from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, computed_field

from bali.schemas import describe
from bali.schemas.parts import UnknownPath, part_of, paths_in


class Disc(BaseModel):
    kind: Literal["disc"] = "disc"
    radius: int
    colour: str = "red"


class Box(BaseModel):
    kind: Literal["box"] = "box"
    side: int


class Node(BaseModel):
    name: str
    secret: str = Field(default="s", json_schema_extra={"writeOnly": True})
    shape: Annotated[Disc | Box, Field(discriminator="kind")] | None = None
    children: list[Node] = []
    named: dict[str, Node] = {}
    alias_: int = Field(default=1, alias="alias")


class Counted(BaseModel):
    first: str
    last: str
    inner: Counted | None = None

    @computed_field(alias="whole")
    def whole_name(self) -> str:
        return f"{self.first} {self.last}"


LEAF = Node(name="leaf", shape=Box(side=3))
TREE = Node(name="root", shape=Disc(radius=2), children=[LEAF], named={"x": LEAF}, alias=7)


def part(item: BaseModel, *paths: str) -> Any:
    found = paths_in(paths)
    assert found is not None
    return part_of(describe(type(item)), found)(item)


def shown(item: BaseModel, *paths: str) -> Any:
    return part(item, *paths).model_dump(by_alias=True)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["name"], {"name": "root"}),
        (["name", "alias"], {"name": "root", "alias": 7}),
        (["children.*.name"], {"children": [{"name": "leaf"}]}),
        (["children.*.shape.side"], {"children": [{"shape": {"kind": "box", "side": 3}}]}),
        (["named.*.name"], {"named": {"x": {"name": "leaf"}}}),
        (["shape.radius"], {"shape": {"kind": "disc", "radius": 2}}),
        (["shape.side"], {"shape": {"kind": "disc"}}),
        (["shape.radius", "shape"], {"shape": {"kind": "disc", "radius": 2, "colour": "red"}}),
        (["shape", "shape.radius"], {"shape": {"kind": "disc", "radius": 2, "colour": "red"}}),
        (["shape.*"], {"shape": {"kind": "disc", "radius": 2, "colour": "red"}}),
    ],
)
def test_a_part_has_the_named_fields_alone(paths: list[str], expected: dict[str, Any]) -> None:
    before = TREE.model_dump()
    assert shown(TREE, *paths) == expected
    assert TREE.model_dump() == before


def test_what_is_null_stays_null() -> None:
    assert shown(Node(name="n"), "shape.radius", "children.*.name") == {
        "shape": None,
        "children": [],
    }


@pytest.mark.parametrize(
    "path",
    ["", "secret", "nothing", "alias_", "name.x", "children.name", "children.0", "shape.x",
     "named.x", "*.name", "children.*.secret", ".name", "name."],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_told(path: str) -> None:
    with pytest.raises(UnknownPath):
        part(TREE, "alias", path)


@pytest.mark.parametrize("paths", [["*"], ["name", "*"]])
def test_a_star_is_everything(paths: list[str]) -> None:
    assert paths_in(paths) is None


def test_a_part_keeps_computed_fields_whatever_else_it_lacks() -> None:
    item = Counted(first="a", last="b", inner=Counted(first="c", last="d"))
    assert shown(item, "whole") == {"whole": "a b"}
    assert part(item, "whole").whole_name == "a b"
    assert shown(item, "first") == {"first": "a"}
    assert not hasattr(part(item, "first"), "whole_name")
    assert "whole" not in repr(part(item, "first"))
    assert shown(item, "inner") == {
        "inner": {"first": "c", "last": "d", "inner": None, "whole": "c d"}
    }
    assert shown(item, "inner.whole") == {"inner": {"whole": "c d"}}
    assert isinstance(part(item, "whole"), Counted)
