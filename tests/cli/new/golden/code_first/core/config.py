"""The settings of the service: bali's and its own, from the environment, then from `.env`."""

from typing import Literal

import bali


class Settings(bali.Settings):
    """A field `log_level` is read from `BALI_LOG_LEVEL`; add yours below it."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


settings = Settings.load()
bali.initialize(settings)
