"""`.env.example`: it lists every variable of the compose files, and its values are accepted as they stand."""

import re
from pathlib import Path

import pytest

from deploy.local import compose_secrets
from deploy.local.paths import ROOT
from deploy.service_settings import settings_class
from libs.common.config.settings import load
from libs.common.events.topics import ALL_SERVICES
from tests.deploy.compose_files import read_compose, variables
from tests.deploy.compose_rules import faults

BASE = ROOT / "docker-compose.yml"
PROXY, BACKUP = (ROOT / "deploy" / layer / "docker-compose.yml" for layer in ("proxy", "backup"))
FILES = (BASE, PROXY, BACKUP)
_LINE = re.compile(r'^# ([A-Z][A-Z0-9_]*)=(?:"([^"]*)"|(.*?))(?:[ \t]+#.*)?$', re.MULTILINE)
OF_ABSENT_FILES = {
    "CALENDAR_FILE",
    "PARTNERS_FILE",
    "POLICY_FILE",
    "HANDLING_TIMES_FILE",
    "AWARD_RULES_FILE",
    "CANNED_RESPONSES_FILE",
    "TEMPLATES_DIR",
}
"""Paths in a container; the loaders of these files have tests of their own."""


def example() -> dict[str, str]:
    """Return the values of the example as if every line of it were used."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return {name: quoted or plain for name, quoted, plain in _LINE.findall(text)}


def test_it_lists_every_variable_of_the_compose_files_and_no_other() -> None:
    assert example().keys() == {name for file in FILES for name in variables(file)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_it_shows_the_defaults_of_the_compose_files(file: Path) -> None:
    shown = example()
    defaults = {name: values.pop() for name, values in variables(file).items() if len(values) == 1}
    written = {name: value for name, value in defaults.items() if value and "<" not in value.partition("://")[2]}
    assert {name: shown[name] for name in written} == written


def test_the_same_variable_has_one_default_in_a_file() -> None:
    assert {name: values for file in FILES for name, values in variables(file).items() if len(values) > 1} == {}


@pytest.mark.parametrize("service", ALL_SERVICES)
def test_a_service_accepts_every_value_of_the_example(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose_secrets.write(tmp_path)
    given, compose = example(), read_compose(BASE, example())
    for variable, value in compose["services"][service]["environment"].items():
        text = str(given.get(variable, "") if value is None else value)
        if not text or variable in OF_ABSENT_FILES:
            continue
        if variable.endswith("_FILE") and not variable.startswith("CLOCK"):
            secret = tmp_path / Path(text).name
            if not secret.exists():
                secret.write_text("whsec_c2VjcmV0LW9mLXRoZS1leGFtcGxlLTEyMzQ=")
            text = str(secret)
        monkeypatch.setenv(variable, text)
    settings = load(settings_class(service))
    assert settings.shop_time_zone == given["SHOP_TIME_ZONE"]


def test_ports_links_and_the_address_of_kafka_follow_the_example() -> None:
    env = {"HOST_NAME": "box", "INTAKE_PORT": "18001", "KAFKA_PORT": "19092", "BIND_ADDRESS": "10.0.0.5"}
    services = read_compose(BASE, env)["services"]
    assert services["intake"]["ports"] == ["10.0.0.5:18001:8000"]
    assert services["intake"]["environment"]["PUBLIC_URL"] == "http://box:18001"
    assert services["delivery_notify"]["environment"]["CUSTOMER_PAGES_URL"] == "http://box:18001"
    assert services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].endswith("OUTSIDE://box:19092")


def test_a_port_that_is_published_to_the_network_is_a_fault_of_the_defaults_only() -> None:
    assert faults(read_compose(BASE)) == []
    assert any("open to the network" in fault for fault in faults(read_compose(BASE, {"BIND_ADDRESS": "0.0.0.0"})))


def test_no_two_services_publish_the_same_port() -> None:
    files = [read_compose(file) for file in (BASE, PROXY)]
    ports = [
        port.rsplit(":", 1)[0] for file in files for each in file["services"].values() for port in each.get("ports", ())
    ]
    assert len(ports) == len(set(ports)) > 10
