"""Configuration: the environment only, secrets from files, and no demo convenience in production."""

from pathlib import Path

import pytest

from deploy.issuer import DevelopmentIssuer
from shared.settings import VARIABLES, SettingsError, settings

PRODUCTION = {
    "HEARTWOOD_MODE": "production",
    "HEARTWOOD_CURSOR_KEY": "a long random secret",
    "HEARTWOOD_ISSUER": "https://id.bank.example",
    "HEARTWOOD_JWKS": "https://id.bank.example/jwks.json",
}


def test_development_needs_nothing() -> None:
    read = settings({})
    assert not read.production
    assert (read.mode, read.issuer, read.port, read.host) == ("development", "heartwood-development", 8100, "127.0.0.1")


def test_production_takes_what_is_complete() -> None:
    assert settings(PRODUCTION).production
    assert settings(PRODUCTION | {"HEARTWOOD_JWKS": "/etc/heartwood/jwks.json"}).jwks == "/etc/heartwood/jwks.json"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEARTWOOD_CURSOR_KEY", None),
        ("HEARTWOOD_CURSOR_KEY", ""),
        ("HEARTWOOD_CURSOR_KEY", "development-only"),
        ("HEARTWOOD_ISSUER", None),
        ("HEARTWOOD_ISSUER", ""),
        ("HEARTWOOD_ISSUER", "heartwood-development"),
        ("HEARTWOOD_JWKS", None),
        ("HEARTWOOD_JWKS", ""),
        ("HEARTWOOD_JWKS", "http://id.bank.example/jwks.json"),
        ("HEARTWOOD_MODE", "prod"),
        ("HEARTWOOD_MODE", ""),
        ("HEARTWOOD_PORT", "eighty"),
        ("HEARTWOOD_PORT", "-1"),
        ("HEARTWOOD_PORT", "８０"),
        ("HEARTWOOD_PORT", "9" * 5000),
        ("HEARTWOOD_TOPIC_PARTITIONS", "1.5"),
    ],
)
def test_production_refuses_what_is_missing_or_of_the_demo_and_says_what_to_set(name: str, value: str | None) -> None:
    given = {k: v for k, v in (PRODUCTION | {name: value}).items() if v is not None}
    with pytest.raises(SettingsError, match=f"{name}.*set "):
        settings(given)


def test_the_development_issuer_refuses_production(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="refuses to start in production"):
        DevelopmentIssuer(tmp_path, settings(PRODUCTION))


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("HEARTWOOD_DATABASE_URL", "database_url"),
        ("HEARTWOOD_WORKER_DATABASE_URL", "worker_database_url"),
        ("HEARTWOOD_OWNER_DATABASE_URL", "owner_database_url"),
        ("HEARTWOOD_CURSOR_KEY", "cursor_key"),
        ("HEARTWOOD_DATA_KEYS", "data_keys"),
    ],
)
def test_secrets_come_from_files_too(tmp_path: Path, name: str, attribute: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n", encoding="utf-8")
    assert getattr(settings({f"{name}_FILE": str(secret)}), attribute) == "from a file"
    assert getattr(settings({f"{name}_FILE": str(secret), name: "plain"}), attribute) == "from a file"


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").write_text("\n")
    for name, why in [("missing", "cannot be read"), (".", "cannot be read"), ("binary", "not text")]:
        with pytest.raises(SettingsError, match=f"HEARTWOOD_CURSOR_KEY_FILE names .*{why}"):
            settings({"HEARTWOOD_CURSOR_KEY_FILE": str(tmp_path / name)})
    with pytest.raises(SettingsError, match="HEARTWOOD_CURSOR_KEY is missing"):
        settings(PRODUCTION | {"HEARTWOOD_CURSOR_KEY_FILE": str(tmp_path / "empty")})


def test_what_is_no_secret_is_not_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "issuer").write_text("https://other.example")
    assert settings({"HEARTWOOD_ISSUER_FILE": str(tmp_path / "issuer")}).issuer == "heartwood-development"


def test_every_variable_that_is_read_is_listed() -> None:
    asked: set[str] = set()

    class Watched(dict[str, str]):
        def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
            asked.add(name.removesuffix("_FILE"))
            return super().get(name, default)

    settings(Watched())
    assert asked <= set(VARIABLES)
