"""The user service, put together."""

from bali import Bali

from core.config import settings
from resources.user import UserResource
from services import db
from services.http.users import router
from services.rpc import service

db.connect(settings)
app = Bali(title="user", routers=[{"router": router}], rpc_service=service)
app.register(UserResource)

if __name__ == "__main__":
    app.start()
