"""A service with long-running actions: in this process, or as a program of its own.

`python tests/operations/service.py` serves it with the settings of the environment.
"""

from __future__ import annotations

import asyncio
import datetime
import decimal
import os
import time
from pathlib import Path

from pydantic import BaseModel, Field
from sqlalchemy.orm import Mapped, mapped_column

from bali import (
    Bali,
    Database,
    FailedPrecondition,
    FieldError,
    IsAuthenticated,
    Principal,
    Resource,
    StaticTokens,
    ValidationFailed,
    action,
    current_context,
)
from bali.settings import Settings, Stage

db = Database()

TOKENS = {
    "ann-token": Principal(id="ann", scopes=frozenset({"a", "b"}), claims={"team": ["x", 1]}),
    "bob-token": Principal(id="bob"),
}


class Mark(db.Model):  # type: ignore[name-defined, misc]  # made at run time
    """What an action has done: at most once for each operation, however often it was begun."""

    __tablename__ = "operations_marks"

    id: Mapped[int] = mapped_column(primary_key=True)
    operation: Mapped[str]


class Line(BaseModel):
    """One line of a report."""

    text: str
    amount: decimal.Decimal


class ReportRequest(BaseModel):
    """What to report on."""

    title: str = Field(min_length=1, max_length=20)
    since: datetime.datetime | None = None
    raw: bytes = b""
    lines: list[Line] = []
    fail: str = ""


class Report(BaseModel):
    """A finished report."""

    id: int
    title: str
    caller: str
    since: datetime.datetime | None
    raw: bytes
    lines: list[Line]
    total: decimal.Decimal


class Held(BaseModel):
    """Who has held an operation."""

    process: int
    attempt: int


class ReportResource(Resource):
    """Reports, which take their time."""

    permission_classes = (IsAuthenticated,)

    @action(detail=True, methods=["post"], lro=True)
    async def export(self, pk: int, schema_in: ReportRequest) -> Report:
        """Write a report."""
        assert self.auth is not None
        assert self.auth == TOKENS["ann-token"]
        self.context.report_progress(50, "half of it")
        await Mark.aio.create(operation=self.context.operation_name)
        if schema_in.fail == "known":
            raise FailedPrecondition("there is no paper", reason="NO_PAPER")
        if schema_in.fail == "fields":
            wrong = FieldError(field="title", reason="RUDE", description="is rude")
            raise ValidationFailed(field_errors=[wrong])
        if schema_in.fail == "bug":
            raise RuntimeError("internal secret: password hunter2")
        total = sum((line.amount for line in schema_in.lines), decimal.Decimal(0))
        return Report(id=pk, caller=self.auth.id, total=total, **schema_in.model_dump())

    @action(methods=["post"], lro=True)
    def count(self, numbers: list[int]) -> int:
        """Add numbers, in code that blocks."""
        for place, _ in enumerate(numbers):
            self.context.report_progress(100 * place / len(numbers), f"number {place}")
        Mark.io.create(operation=self.context.operation_name)
        return sum(numbers)

    @action(methods=["post"], lro=True)
    async def nothing(self) -> None:
        """Return nothing."""

    @action(methods=["post"], lro=True)
    async def hold(self, folder: str) -> Held:
        """Go on until there is a file `go` in a folder."""
        place = Path(folder)
        begin(place, self.context.attempt)
        while not (place / "go").exists():
            self.context.report_progress(10, "holding")
            await asyncio.sleep(0.02)
        await Mark.aio.create(operation=self.context.operation_name)
        return Held(process=os.getpid(), attempt=self.context.attempt)

    @action(methods=["post"], lro=True)
    def hold_in_thread(self, folder: str) -> Held:
        """Do the same in code that blocks."""
        place = Path(folder)
        begin(place, self.context.attempt)
        try:
            while not (place / "go").exists():
                self.context.report_progress(10, "holding")
                time.sleep(0.02)
        finally:
            (place / "unwound").touch()
        return Held(process=os.getpid(), attempt=self.context.attempt)

    @action(methods=["post"])
    async def direct(self) -> str:
        """Tell what a call that is no operation sees."""
        self.context.report_progress(50, "of nothing")
        context = current_context()
        assert context is not None
        return f"{context.operation_name!r} {context.attempt}"

    @action()
    async def marks(self, operation: str) -> int:
        """Count what an operation has stored."""
        return int(await Mark.aio.count(operation=operation))


def begin(folder: Path, attempt: int) -> None:
    """Write down that this process begins."""
    with (folder / "begun").open("a") as file:
        file.write(f"{os.getpid()} {attempt}\n")


def make_app(settings: Settings | None = None) -> Bali:
    """Return the app; `db` must be connected by whoever runs it."""
    return Bali(
        title="reports",
        resources=[ReportResource],
        authenticator=StaticTokens(TOKENS),
        settings=settings or Settings(stage=Stage.TEST, operation_lease_seconds=2.0),
        databases=[db],
    )


if __name__ == "__main__":
    app = make_app(Settings())
    app.start()
