"""The threat model names existing tests and covers every border."""

import re
from pathlib import Path

import pytest

from deploy.service_settings import settings_class
from libs.common.events.topics import ALL_SERVICES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "threat-model.md").read_text("utf-8")
SECRETS = PAGE.partition("**Secrets**")[2].partition("\n\n")[0]
BORDERS = {
    row.split("|")[1].strip(): row for row in PAGE.splitlines() if row.startswith("| ") and not row.startswith("| ---")
}
BORDERS.pop("border")


@pytest.mark.parametrize("border", BORDERS)
def test_each_border_names_tests_that_exist_and_what_is_left(border: str) -> None:
    _, _, who, tried, left, _ = BORDERS[border].split("|")
    named = re.findall(r"`(tests/[\w/]+\.py)`", tried)
    assert named, "nothing is tried"
    assert [path for path in named if "def test_" not in (ROOT / path).read_text("utf-8")] == []
    assert who.strip()
    assert left.strip()


def test_no_border_is_left_out() -> None:
    names = " ".join(BORDERS).lower()
    wanted = ("links", "storefront", "webhooks", "kafka", "postgres", "smtp", "channels", "desk", "otlp", "evidence")
    assert [name for name in (*wanted, "supply chain") if name not in names] == []


def test_every_test_of_security_stands_in_the_page() -> None:
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "security").glob("test_*.py")}
    assert sorted(ours - set(re.findall(r"tests/[\w/]+\.py", PAGE))) == []


def test_every_secret_setting_says_how_it_is_changed() -> None:
    hidden = {"api_keys", "database_url"}
    for service in ALL_SERVICES:
        fields = settings_class(service).model_fields
        hidden |= {name for name, field in fields.items() if "SecretStr" in str(field.annotation)}
    assert {"address_key", "link_secrets", "kafka_sasl_password"} <= hidden
    assert sorted(name.upper() for name in hidden if f"`{name.upper()}`" not in SECRETS) == []
