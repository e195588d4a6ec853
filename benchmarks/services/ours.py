"""The service on bali: a model, a resource, an app."""

from pydantic import BaseModel
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from bali import AllowAny, Bali, ModelResource, action, db
from benchmarks.services.table import DATABASE_URL, POOL_SIZE

db.connect(DATABASE_URL, pool_size=POOL_SIZE, max_overflow=0)


class User(db.BaseModel):
    """The rows that every service answers with."""

    __tablename__ = "bench_users"

    username: Mapped[str] = mapped_column(String(50))
    age: Mapped[int | None]


class Pong(BaseModel):
    """What `ping` says."""

    text: str


class UserResource(ModelResource):
    """The resource over them."""

    model = User
    permission_classes = (AllowAny,)

    @action(detail=False)
    async def ping(self) -> Pong:
        """Say the same each time."""
        return Pong(text="pong")

    @action(detail=False)
    async def work(self) -> Pong:
        """Keep the processor busy for half a millisecond or so, and nothing else."""
        return Pong(text=str(sum(number * number for number in range(10_000))))


app = Bali(title="bench", resources=[UserResource])

if __name__ == "__main__":
    app.start()
