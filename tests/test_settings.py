"""Settings: where each is read from, and what is refused."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from bali.errors import ConfigurationError
from bali.settings import Settings, Stage, current_settings, initialize


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("DEV", Stage.DEV),
        ("production", Stage.PROD),
        (" Test ", Stage.TEST),
        ("staging", "staging"),
    ],
)
def test_the_stage_is_read_in_any_spelling(
    monkeypatch: pytest.MonkeyPatch, text: str, stage: str
) -> None:
    monkeypatch.setenv("STAGE", text)
    assert Settings().stage == stage


def test_an_unknown_stage_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALI_STAGE", "moon")
    with pytest.raises(ValidationError, match="moon"):
        Settings()


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("STAGE", "moon", r"BALI_STAGE or STAGE is 'moon': .*'dev', 'test', 'staging' or 'prod'"),
        ("BALI_PORT", "http", r"BALI_PORT is 'http': .*integer"),
        ("BALI_PORT", "70000", r"BALI_PORT is '70000': .*65535; set it right in the environment"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, message: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError, match=message):
        current_settings()


def test_the_usual_names_and_the_prefixed_ones_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///a.db")
    monkeypatch.setenv("BALI_PORT", "8123")
    settings = Settings()
    assert settings.database_url == "sqlite:///a.db"
    assert settings.port == 8123


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALI_BACKEND_CORS_ORIGINS", "https://a.example, https://b.example,")
    assert Settings().backend_cors_origins == ["https://a.example", "https://b.example"]
    assert Settings(backend_cors_origins=["*"]).backend_cors_origins == ["*"]


@pytest.fixture
def environment_again() -> Iterator[None]:
    yield
    initialize(None)


class FormerSettings(Settings):
    SQLALCHEMY_DATABASE_URI: str = "sqlite:///former.db"


@pytest.mark.usefixtures("environment_again")
def test_the_former_address_of_the_database_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    initialize(FormerSettings())
    assert current_settings().database_url == "sqlite:///former.db"
    monkeypatch.setenv("DATABASE_URL", "sqlite:///a.db")
    assert FormerSettings().database_url == "sqlite:///a.db"


@pytest.mark.usefixtures("environment_again")
def test_settings_of_another_class_give_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALI_PORT", "8123")
    initialize(SimpleNamespace(SQLALCHEMY_DATABASE_URI="sqlite:///other.db"))
    settings = current_settings()
    assert (settings.database_url, settings.port) == ("sqlite:///other.db", 8123)


def test_what_is_no_settings_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"initialize\(dict\(...\)\): derive the class fr"):
        initialize({})


def test_the_settings_of_a_service_name_the_variable_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Own(Settings):
        retries: int = 3

    monkeypatch.setenv("BALI_RETRIES", "many")
    with pytest.raises(ConfigurationError, match=r"BALI_RETRIES is 'many': .*integer"):
        Own.load()
    monkeypatch.setenv("BALI_RETRIES", "5")
    assert Own.load().retries == 5
