"""The first bali: a model and a resource, as its README has them."""

import os
import sys

import uvicorn
from sqlalchemy.dialects import registry

# It knows PostgreSQL by an address that SQLAlchemy has dropped: `postgres://`.
registry.register("postgres", "sqlalchemy.dialects.postgresql.psycopg2", "PGDialect_psycopg2")

from bali import Bali  # noqa: E402, I001 - needs the line above
from bali.db import db  # noqa: E402 - same
from bali.resources import ModelResource  # noqa: E402 - same
from bali.schemas import model_to_schema  # noqa: E402 - same
from sqlalchemy import Column, Integer, String  # noqa: E402 - same

URL = os.environ.get("DATABASE_URL", "postgresql://postgres@127.0.0.1/test")
db.connect(URL.replace("postgresql://", "postgres://"), engine_options={"pool_size": 10})


class User(db.BaseModel):
    """The table."""

    __tablename__ = "bench_users"

    id = Column(Integer, primary_key=True)
    username = Column(String(50), nullable=False)
    age = Column(Integer)


class UserResource(ModelResource):
    """The resource over it."""

    model = User
    schema = model_to_schema(User)


app = Bali(title="bench", routers=[{"router": UserResource.as_router(), "prefix": "/users"}])

if __name__ == "__main__" and "--check" not in sys.argv:
    uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning",
                access_log=False)  # fmt: skip
