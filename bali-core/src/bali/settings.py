"""The settings of a service, read from the environment, a `.env` file and its own code."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bali.errors import ConfigurationError

__all__ = ["Settings", "Stage", "current_settings", "initialize"]

_MIB = 1024 * 1024


class Stage(StrEnum):
    """Where a service runs. Missing tables are created at start in `DEV` and `TEST` alone."""

    DEV = "dev"
    TEST = "test"
    STAGING = "staging"
    PROD = "prod"

    @classmethod
    def _missing_(cls, value: object) -> Stage | None:
        lowered = str(value).strip().lower()
        names = {"development": "dev", "testing": "test", "production": "prod"}
        lowered = names.get(lowered, lowered)
        return next((stage for stage in cls if stage.value == lowered), None)


def _env(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class Settings(BaseSettings):
    """Every setting of bali, with its unit and default.

    Subclass it for a service's own settings. Each is read from the environment as `BALI_<NAME>`;
    `stage`, `database_url` and `secret_key` also from `STAGE`, `DATABASE_URL` and `SECRET_KEY`.
    """

    model_config = SettingsConfigDict(
        env_prefix="BALI_", env_file=".env", extra="ignore", populate_by_name=True
    )

    stage: Stage = Field(default=Stage.DEV, validation_alias=_env("stage", "BALI_STAGE", "STAGE"))
    database_url: str | None = Field(
        default=None, validation_alias=_env("database_url", "BALI_DATABASE_URL", "DATABASE_URL")
    )
    #: Signs page tokens; set it, the same for every instance, in staging and production.
    secret_key: str | None = Field(
        default=None, validation_alias=_env("secret_key", "BALI_SECRET_KEY", "SECRET_KEY")
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    rpc_port: int = Field(default=9080, ge=0, le=65535)
    workers: int = Field(default=1, ge=1)
    certfile: str | None = None
    keyfile: str | None = None
    backend_cors_origins: Annotated[list[str], NoDecode] = []

    max_body_bytes: int = Field(default=4 * _MIB, ge=1)
    max_json_depth: int = Field(default=64, ge=1)
    max_in_flight: int = Field(default=128, ge=1)
    max_waiting: int = Field(default=512, ge=0)
    max_streams: int = Field(default=1000, ge=1)
    drain_delay_seconds: float = Field(default=5.0, ge=0)
    grace_seconds: float = Field(default=30.0, ge=0)

    @field_validator("backend_cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [origin.strip() for origin in value.split(",") if origin.strip()]
        return value


_initialized: Settings | None = None


def initialize(settings: Settings | None) -> None:
    """Make `settings` those of every `Bali` and `Database` of this process that is given none.

    None goes back to reading the environment.
    """
    global _initialized  # noqa: PLW0603 - one set of settings per process is the point
    _initialized = settings


def current_settings() -> Settings:
    """Return what `initialize` was given, else the settings that the environment says now.

    Raises `ConfigurationError` for a variable with a value that cannot be.
    """
    if _initialized is not None:
        return _initialized
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{_variables(str(item['loc'][0]))} is {item['input']!r}: {item['msg']}"
            for item in error.errors()
        )
        raise ConfigurationError(f"{wrong}; set it right in the environment or in .env") from None


def _variables(name: str) -> str:
    """Return the environment variables that a setting is read from."""
    alias = Settings.model_fields[name].validation_alias if name in Settings.model_fields else None
    if isinstance(alias, AliasChoices):
        return " or ".join(str(choice) for choice in alias.choices if str(choice).isupper())
    return f"BALI_{name.upper()}"
