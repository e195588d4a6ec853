"""The settings of a service, read from the environment, a `.env` file and its own code."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bali.errors import ConfigurationError

__all__ = ["Settings", "Stage", "current_settings", "initialize"]

_MIB = 1024 * 1024
#: Where the settings of the first bali have the database's address.
_FORMER_ADDRESS = "SQLALCHEMY_DATABASE_URI"


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
    `stage`, `database_url` and `secret_key` also from `STAGE`, `DATABASE_URL` and `SECRET_KEY`. A
    field `SQLALCHEMY_DATABASE_URI` of a subclass is the database's address when nothing else is.
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

    #: Refuse to start with operations that have no permission; None: in staging and production.
    require_permissions: bool | None = None

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    rpc_port: int = Field(default=9080, ge=0, le=65535)
    workers: int = Field(default=1, ge=1)
    #: Linux: have the kernel run threads of a process that serves in batches (`SCHED_BATCH`).
    batch_scheduling: bool = True
    certfile: str | None = None
    keyfile: str | None = None
    #: Authorities whose client certificates are accepted (PEM), and whether each client needs one.
    client_ca_file: str | None = None
    client_certificates: Literal["required", "optional"] = "required"
    backend_cors_origins: Annotated[list[str], NoDecode] = []

    max_body_bytes: int = Field(default=4 * _MIB, ge=1)
    max_json_depth: int = Field(default=64, ge=1)
    max_in_flight: int = Field(default=128, ge=1)
    max_waiting: int = Field(default=512, ge=0)
    max_streams: int = Field(default=1000, ge=1)
    #: Long-running operations: how many a process performs at once, 0 for none.
    operation_workers: int = Field(default=8, ge=0)
    #: After how long without a sign of life of its worker an operation is begun anew.
    operation_lease_seconds: float = Field(default=30.0, ge=0.5)
    #: After how many workers that were lost with it an operation has failed.
    operation_max_losses: int = Field(default=3, ge=1)
    #: How long the result of an operation is kept.
    operation_retention_seconds: float = Field(default=7 * 86_400.0, ge=0)
    #: How long one call may wait for an operation.
    operation_max_wait_seconds: float = Field(default=60.0, ge=0)
    drain_delay_seconds: float = Field(default=5.0, ge=0)
    grace_seconds: float = Field(default=30.0, ge=0)

    @classmethod
    def load(cls) -> Self:
        """Return what the environment and `.env` say now.

        Raises `ConfigurationError` for a variable with a value that cannot be, naming the variable.
        """
        try:
            return cls()
        except ValidationError as error:
            wrong = "; ".join(
                f"{_variables(cls, str(item['loc'][0]))} is {item['input']!r}: {item['msg']}"
                for item in error.errors()
            )
            told = f"{wrong}; set it right in the environment or in .env"
            raise ConfigurationError(told) from None

    @field_validator("backend_cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [origin.strip() for origin in value.split(",") if origin.strip()]
        return value

    @model_validator(mode="after")
    def _take_former_address(self) -> Self:
        if self.database_url is None:
            self.database_url = getattr(self, _FORMER_ADDRESS, None)
        return self


_initialized: Settings | None = None


def initialize(settings: object) -> None:
    """Make `settings` those of every `Bali` and `Database` of this process that is given none.

    An object of another class gives its `SQLALCHEMY_DATABASE_URI`, and the environment the rest.
    None goes back to reading the environment. Raises `ConfigurationError` for an object that is
    neither settings nor has an address.
    """
    global _initialized  # noqa: PLW0603 - one set of settings per process is the point
    if settings is None or isinstance(settings, Settings):
        _initialized = settings
        return
    address = getattr(settings, _FORMER_ADDRESS, None)
    if address is None:
        raise ConfigurationError(
            f"initialize({type(settings).__name__}(...)): derive the class from bali.Settings, or "
            f"give it {_FORMER_ADDRESS}"
        )
    _initialized = Settings.load().model_copy(update={"database_url": str(address)})


def current_settings() -> Settings:
    """Return what `initialize` was given, else the settings that the environment says now.

    Raises `ConfigurationError` for a variable with a value that cannot be.
    """
    return Settings.load() if _initialized is None else _initialized


def _variables(cls: type[Settings], name: str) -> str:
    """Return the environment variables that a setting is read from."""
    alias = cls.model_fields[name].validation_alias if name in cls.model_fields else None
    if isinstance(alias, AliasChoices):
        return " or ".join(str(choice) for choice in alias.choices if str(choice).isupper())
    return f"BALI_{name.upper()}"
