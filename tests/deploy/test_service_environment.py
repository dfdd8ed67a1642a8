"""The variables of local runs: each service starts with them."""

from pathlib import Path

import pytest

from deploy.local.service_environment import ServiceEnvironment
from deploy.service_settings import settings_class
from libs.common.config.settings import load
from libs.common.events.topics import SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_all_that_it_needs_from_the_environment_of_a_run(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"storefront": "a-key-for-the-storefront"}
    link_secret, column_key = "a-secret-for-signing-links", "a-key-for-the-columns-of-this-run"
    photos = tmp_path / "photos"
    environment = ServiceEnvironment("kafka:9092", "run.", keys, link_secret, photos, personal_data_key=column_key)
    for name, value in environment.of(service, f"postgresql://db/{service}", "http://service").items():
        monkeypatch.setenv(name, value)
    settings = load(settings_class(service))
    assert (settings.database_url, settings.kafka_topic_prefix) == (f"postgresql://db/{service}", "run.")
    assert settings.api_keys == {"storefront": ("a-key-for-the-storefront",)}
    assert [key.get_secret_value() for key in settings.personal_data_keys] == [column_key]
