"""Where the service runs and what it talks to."""

import os

from bali import Settings as BaliSettings
from bali import initialize


class Settings(BaliSettings):
    """The settings of this service beside those of bali."""

    SQLALCHEMY_DATABASE_URI: str = "sqlite:///user.sqlite3"
    RPC_ADDRESS: str = os.environ.get("RPC_ADDRESS", "[::]:9080")


settings = Settings()
initialize(settings)
