"""docker-compose.yml: by its schema, by a linter, by our rules, and by the settings of the services.

No container engine is needed; where docker compose is installed, it reads the file too. Each check is also run on a
broken copy, which it must detect.
"""

import copy
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local import compose_secrets
from deploy.local.paths import ROOT
from deploy.service_settings import settings_class
from libs.common.config.settings import ServiceSettings, load
from libs.common.events.topics import ALL_SERVICES
from tests.deploy.compose_files import read_compose
from tests.deploy.compose_rules import Compose, faults

FILE = ROOT / "docker-compose.yml"
# A digest cannot be had without asking a registry, and goes stale without a bot that renews it.
ACCEPTED = {"CL-0019", "CL-0007"}


@pytest.fixture
def compose() -> Compose:
    return read_compose(FILE)


def tool(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def schema_answer(file: Path) -> "subprocess.CompletedProcess[str]":
    return tool("check_jsonschema", "--builtin-schema", "vendor.compose-spec", file)


def lint_findings(file: Path) -> list[str]:
    answer = tool("compose_lint", "check", "--format", "json", file)
    findings = json.loads(answer.stdout)["findings"]
    return [f"{found['service']} {found['rule_id']}" for found in findings if found["rule_id"] not in ACCEPTED]


def test_it_follows_the_compose_schema() -> None:
    answer = schema_answer(FILE)
    assert answer.returncode == 0, answer.stdout


def test_the_schema_check_sees_a_misspelt_key(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(FILE.read_text(encoding="utf-8").replace("depends_on:", "depend_on:"), encoding="utf-8")
    assert "depend_on" in schema_answer(broken).stdout


def test_the_linter_finds_nothing() -> None:
    assert lint_findings(FILE) == []


def test_the_linter_sees_a_privileged_container(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(FILE.read_text(encoding="utf-8").replace("init: true", "privileged: true"), encoding="utf-8")
    assert lint_findings(broken)


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker client here")
def test_docker_compose_itself_can_read_it(tmp_path: Path) -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("this docker client has no compose")
    command = ["docker", "compose", "--file", str(FILE), "--profile", "demo", "config", "--quiet"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_it_keeps_to_our_rules(compose: Compose) -> None:
    assert faults(compose) == []


def services(change: Callable[[Compose], object]) -> Callable[[Compose], object]:
    return lambda compose: change(compose["services"])


BROKEN: dict[str, tuple[str, Callable[[Compose], object]]] = {
    "an image of any version": ("names no exact version", services(lambda s: s["kafka"].update(image="apache/kafka"))),
    "the latest image": (
        "names no exact version",
        services(lambda s: s["mail"].update(image="axllent/mailpit:latest")),
    ),
    "no health check": ("traces: no health check", services(lambda s: s["traces"].pop("healthcheck"))),
    "a short grace": ("returns: is killed 20s after", services(lambda s: s["returns"].update(stop_grace_period="20s"))),
    "docker's own grace": ("loyalty: is killed 10s after", services(lambda s: s["loyalty"].pop("stop_grace_period"))),
    "root by name": ("postgres: runs as root", services(lambda s: s["postgres"].update(user="root"))),
    "root by default": ("intake: runs as root", services(lambda s: s["intake"].pop("user"))),
    "writable": ("loyalty: its root", services(lambda s: s["loyalty"].update(read_only=False))),
    "capabilities": ("mail: keeps capabilities", services(lambda s: s["mail"].pop("cap_drop"))),
    "privileges": ("mail: may gain privileges", services(lambda s: s["mail"].pop("security_opt"))),
    "an open port": ("open to the network", services(lambda s: s["returns"].update(ports=["8002:8000"]))),
    "a name that is not there": ("is not there", services(lambda s: s.pop("migrate"))),
    "a job that runs on": ("does not end", services(lambda s: s["topics"].update(restart="always"))),
    "no waiting": (
        "does not wait until postgres is ready",
        services(lambda s: s["migrate"]["depends_on"]["postgres"].update(condition="service_started")),
    ),
    "a need of another profile": (
        "not there without its profile",
        services(lambda s: s["intake"]["depends_on"]["clock"].pop("required")),
    ),
    "a password": (
        "POSTGRES_PASSWORD is not read from a file",
        services(lambda s: s["postgres"]["environment"].update(POSTGRES_PASSWORD="hunter2")),
    ),
    "a password in an address": (
        "SMTP_URL holds a password",
        services(lambda s: s["delivery_notify"]["environment"].update(SMTP_URL="smtp://shop:hunter2@mail:1025")),
    ),
    "a secret that is not given": (
        "points at a secret that it is not given",
        services(lambda s: s["loyalty"].update(secrets=["api_keys"])),
    ),
    "a secret from elsewhere": (
        "not declared as a file",
        lambda compose: compose["secrets"].update(api_keys={"file": "README.md"}),
    ),
    "a volume that is not declared": ("volume kafka is not declared", lambda compose: compose["volumes"].pop("kafka")),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_sees_what_it_is_for(compose: Compose, case: str) -> None:
    expected, break_it = BROKEN[case]
    # Merge keys make services share parts; a copy keeps the change to one of them.
    broken: Compose = json.loads(json.dumps(compose))
    break_it(broken)
    assert any(expected in fault for fault in faults(broken)), faults(broken)


def test_all_services_are_there(compose: Compose) -> None:
    assert set(ALL_SERVICES) <= compose["services"].keys()


@pytest.mark.parametrize("name", ALL_SERVICES)
def test_each_service_accepts_the_settings_it_is_given(
    compose: Compose, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose_secrets.write(tmp_path)
    for variable in set(os.environ) & {"DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "API_KEYS", "CLOCK_FILE"}:
        monkeypatch.delenv(variable)
    for variable, value in compose["services"][name]["environment"].items():
        if value is not None:
            monkeypatch.setenv(variable, str(value).replace("/run/secrets", str(tmp_path)))
    settings = load(settings_class(name))
    assert settings.database_url.endswith(f"@postgres:5432/{name}")
    assert set(settings.api_keys) == {"storefront", "ops"}


def secrets_of(name: str) -> set[str]:
    """The settings of a service that are declared as secrets."""
    fields = settings_class(name).model_fields
    return {field for field, info in fields.items() if "SecretStr" in repr(info.annotation)}


@pytest.mark.parametrize("name", ["intake", "returns"])
def test_each_secret_of_a_service_comes_from_a_file(compose: Compose, name: str) -> None:
    given = {variable.lower() for variable in compose["services"][name]["environment"]}
    assert secrets_of(name)
    assert {f"{secret}_file" for secret in secrets_of(name) if not secret.startswith("kafka_")} <= given


@pytest.mark.parametrize("name", ALL_SERVICES)
def test_each_setting_of_a_shop_can_be_set_from_outside(compose: Compose, name: str) -> None:
    fields = settings_class(name).model_fields.keys() - ServiceSettings.model_fields.keys()
    given = {variable.lower() for variable in compose["services"][name]["environment"]}
    for_tests = {"line_api_url", "slack_api_url", "sender_poll_seconds", "policy_poll_seconds"}
    assert {field for field in fields if not {field, f"{field}_file"} & given} - for_tests == set()


def test_every_command_is_a_module_that_exists(compose: Compose) -> None:
    ours = [service for service in compose["services"].values() if "build" in service and "entrypoint" not in service]
    modules = [module for service in ours for module in service["command"]]
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


def test_every_file_that_is_mounted_is_there(compose: Compose) -> None:
    mounts = [volume for service in compose["services"].values() for volume in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_every_secret_is_made_by_make_secrets(compose: Compose, tmp_path: Path) -> None:
    of_the_proxy = yaml.safe_load((ROOT / "deploy/proxy/docker-compose.yml").read_text("utf-8"))["secrets"]
    assert set(compose_secrets.write(tmp_path)) == compose["secrets"].keys() | of_the_proxy.keys()


def test_secrets_that_are_there_are_kept(tmp_path: Path) -> None:
    compose_secrets.write(tmp_path)
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert compose_secrets.write(tmp_path) == []
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == before


def undefined_parts(collector: dict[str, Any]) -> list[str]:
    """Names that the pipelines and extensions of a collector's configuration use without a definition."""
    named = [("extensions", name) for name in collector["service"]["extensions"]]
    for pipeline in collector["service"]["pipelines"].values():
        named += [(kind, name) for kind, names in pipeline.items() for name in names]
    return [name for kind, name in named if name not in collector[kind]]


def test_the_trace_collector_defines_every_part_it_uses(compose: Compose) -> None:
    collector = yaml.safe_load((ROOT / "deploy/observability/jaeger.yaml").read_text(encoding="utf-8"))
    assert undefined_parts(collector) == []
    broken = copy.deepcopy(collector)
    broken["processors"].pop("batch")
    assert undefined_parts(broken) == ["batch"]


def test_the_services_send_traces_to_the_collector(compose: Compose) -> None:
    collector = yaml.safe_load((ROOT / "deploy/observability/jaeger.yaml").read_text(encoding="utf-8"))
    port = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    endpoints = {compose["services"][name]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] for name in ALL_SERVICES}
    assert endpoints == {f"http://traces:{port}"}
