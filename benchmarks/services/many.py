"""bali's service with a hundred resources, of which the measured one comes last."""

import os
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from bali import AllowAny, Bali, ModelResource, db
from benchmarks.services.ours import UserResource

OTHERS = int(os.environ.get("BENCH_RESOURCES", "100")) - 1


def thing(number: int) -> type[ModelResource]:
    """Return one of the other resources, over a model of its own."""
    content: dict[str, Any] = {
        "__tablename__": f"bench_things_{number}",
        "__module__": __name__,
        "__annotations__": {"name": Mapped[str]},
        "name": mapped_column(),
    }
    model = type(f"Thing{number}", (db.BaseModel,), content)
    options: dict[str, Any] = {"model": model, "permission_classes": (AllowAny,)}
    return type(f"Thing{number}Resource", (ModelResource,), {"__module__": __name__, **options})


app = Bali(title="bench", resources=[*map(thing, range(OTHERS)), UserResource])

if __name__ == "__main__":
    app.start()
