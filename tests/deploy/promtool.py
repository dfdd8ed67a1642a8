"""Prometheus' own tool on our rules: files that it checks, and alerts over values that services really exported."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.paths import ROOT
from tests.deploy.scraping import Scrape, Series

FOLDER = ROOT / "deploy" / "observability" / "prometheus"
RULES = FOLDER / "alerts.yml"

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None and not os.environ.get("CI"), reason="promtool is not installed")

QUIET_MINUTES = 30
"""Time for which the values from before a cause stay as they are; no alert may fire at its end."""
LASTING_MINUTES = 250
"""Time for which a cause lasts; longer than the longest `for` of an alert."""

OF_THIS_MACHINE = {"EventLoopBlocked", "ConnectionPoolExhausted", "LoopsRestart"}
"""Alerts that a busy machine, or a service that a test runs without Kafka, can cause at any time; they are looked at
where they are expected."""


@cache
def rules() -> tuple[dict[str, Any], ...]:
    loaded = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return tuple(rule for group in loaded["groups"] for rule in group["rules"])


ALERTS = [rule for rule in rules() if "alert" in rule]


def promtool(*arguments: str, folder: Path = FOLDER) -> str:
    """Run promtool and return its output; fail with it otherwise."""
    assert PROMTOOL, "CI installs promtool, see .ci/run"
    done = subprocess.run([PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_firing(before: Scrape, after: Scrape, *expected: str) -> None:
    """Assert that exactly these alerts fire over what was scraped after a cause, and none over what was before.

    A gauge stays as it was scraped. A counter goes on at the pace at which it rose from one scrape to the other, taken
    as a minute.
    """
    unknown = set(expected) - {rule["alert"] for rule in ALERTS}
    assert not unknown, f"no alert has the name {unknown}"
    end = QUIET_MINUTES + LASTING_MINUTES
    names = sorted({str(rule["alert"]) for rule in ALERTS} - (OF_THIS_MACHINE - set(expected)))
    checks = [_check(name, f"{QUIET_MINUTES}m", False) for name in names]
    checks += [_check(name, f"{end}m", name in expected) for name in names]
    _run(before, after, checks)


def assert_answers(before: Scrape, after: Scrape, expected: Mapping[str, bool]) -> None:
    """Assert which of these expressions have an answer over what was scraped, five minutes after the second scrape."""
    _run(before, after, [_exists(each, f"{QUIET_MINUTES + 5}m", answers) for each, answers in expected.items()])


def _check(alert: str, at: str, fires: bool) -> dict[str, Any]:
    return _exists(f'ALERTS{{alertname="{alert}",alertstate="firing"}}', at, fires)


def _exists(expression: str, at: str, exists: bool) -> dict[str, Any]:
    found = [{"labels": "{}", "value": 1}] if exists else []
    return {"expr": f"count({expression}) > bool 0", "eval_time": at, "exp_samples": found}


def _run(before: Scrape, after: Scrape, checks: Collection[Mapping[str, Any]]) -> None:
    series = [{"series": _selector(each), "values": _values(each, before, after)} for each in after]
    test = {"interval": "1m", "input_series": list(series), "promql_expr_test": list(checks)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scraped.yml"
        file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
        promtool("test", "rules", file.name, folder=Path(folder))


def _selector(series: Series) -> str:
    name, labels = series
    return f"{name}{{{','.join(f'{label}={_quoted(value)}' for label, value in labels)}}}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _values(series: Series, before: Scrape, after: Scrape) -> str:
    """Return a series in promtool's notation: `0x30` is 31 times 0, `0+2x30` rises 30 times by 2, `_` is no sample."""
    name, end = series[0], after[series]
    slope = end - before.get(series, 0.0) if name.endswith(("_total", "_bucket", "_count", "_sum")) else 0.0
    start = f"{before[series]!r}x{QUIET_MINUTES}" if series in before else f"_x{QUIET_MINUTES + 1}"
    return f"{start} {end!r}{slope:+}x{LASTING_MINUTES - 1}"
