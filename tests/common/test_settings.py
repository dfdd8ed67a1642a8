"""Settings are read once; invalid ones are named before anything starts."""

from pathlib import Path

import pytest

from libs.common.config.settings import ServiceSettings, SettingsError, load

RIGHT = {"DATABASE_URL": "postgresql://localhost/x", "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092"}


@pytest.fixture(autouse=True)
def right_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)


def test_right_settings_are_read_with_their_defaults() -> None:
    settings = load(ServiceSettings)
    assert (settings.database_url, settings.zone.key) == ("postgresql://localhost/x", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://localhost/x"),
        ("KAFKA_BOOTSTRAP_SERVERS", ""),
        ("HTTP_PORT", "many"),
        ("SHOP_TIME_ZONE", "Tokio"),
        ("API_KEYS", "storefront:short"),
        ("API_KEYS", "no-colon-but-long-enough"),
        ("BATCH_SIZE", "0"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_the_name_of_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError):
        load(ServiceSettings)
    assert f"  {name}: " in capsys.readouterr().err


def test_all_wrong_settings_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("HTTP_PORT", "-1")
    with pytest.raises(SettingsError):
        load(ServiceSettings)
    message = capsys.readouterr().err
    assert "DATABASE_URL: " in message
    assert "HTTP_PORT: " in message


def test_a_wrong_secret_is_not_repeated_in_the_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("API_KEYS", "storefront:secret-7")
    with pytest.raises(SettingsError):
        load(ServiceSettings)
    assert "secret-7" not in capsys.readouterr().err


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://from/file\n", encoding="utf-8")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert load(ServiceSettings).database_url == "postgresql://from/file"


def test_a_caller_may_have_two_keys_while_one_is_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "ops:first-key-of-ops-1,ops:second-key-of-ops")
    assert load(ServiceSettings).api_keys == {"ops": ("first-key-of-ops-1", "second-key-of-ops")}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL: "),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "KAFKA_SECURITY_PROTOCOL: "),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "x"}, "KAFKA_SASL_PASSWORD: missing"),
        ({"KAFKA_SASL_USERNAME": "x", "KAFKA_SASL_PASSWORD": "y"}, "KAFKA_SASL_PASSWORD: SASL credentials"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CA": "no certificate"}, "KAFKA_CA: "),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CLIENT_CERTIFICATE": "/nowhere.pem"}, "KAFKA_CLIENT_CERTIFICATE: "),
        ({"KAFKA_CLIENT_CERTIFICATE": "/nowhere.pem"}, "KAFKA_CLIENT_CERTIFICATE: certificates need"),
    ],
)
def test_kafka_security_that_does_not_fit_together_ends_the_start(
    given: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError):
        load(ServiceSettings)
    assert f"  {named}" in capsys.readouterr().err
