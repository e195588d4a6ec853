"""The user service: `python main.py` serves REST and gRPC on one port."""

from bali import Bali

from core.config import settings
from core.logging import configure_logging
from resources import UserResource
from services.http.users import router
from services.rpc.service import UserService

configure_logging(settings.log_level)

app = Bali(
    title="user",
    settings=settings,
    routers=[router],
    resources=[UserResource],
)
app.add_servicer(UserService())

if __name__ == "__main__":
    app.start()
