"""The app: where resources, routers, servicers and databases are put together and served."""

from bali.app.application import Bali

__all__ = ["Bali"]
