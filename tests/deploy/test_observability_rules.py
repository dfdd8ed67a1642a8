"""Alert rules by promtool: valid, and each with a unit test that fires on its cause at its time and not before."""

from typing import Any

import pytest
import yaml

from tests.deploy.promtool import ALERTS, FOLDER, RULES, needs_promtool, promtool, rules

TESTS = FOLDER / "alerts.test.yml"

pytestmark = needs_promtool


def checks_of(alert: str) -> list[dict[str, Any]]:
    """Return what the unit tests expect of this alert."""
    tests = yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
    return [check for test in tests for check in test["alert_rule_test"] if check["alertname"] == alert]


def test_prometheus_accepts_the_rules() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", RULES.name)


def test_prometheus_accepts_its_configuration() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yml")  # the key of `ops` is a file of the container


def test_the_unit_tests_of_the_rules_pass() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS.name)


@pytest.mark.parametrize("alert", [str(rule["alert"]) for rule in ALERTS])
def test_every_alert_is_tested_to_fire_on_its_cause_and_to_be_silent_without(alert: str) -> None:
    fires = [check for check in checks_of(alert) if check["exp_alerts"]]
    silent = [check for check in checks_of(alert) if not check["exp_alerts"]]
    assert fires
    assert len(silent) >= 2, "a minute before it fires, and in a shop at rest"
