"""Rules for `docker-compose.yml` beyond its schema; each violation names the service and the fault."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from libs.common.events.topics import ALL_SERVICES

Compose = dict[str, Any]
Service = dict[str, Any]

WRITES_TO_ITS_OWN_FOLDERS = {"kafka"}
DRAIN_SECONDS = 60
"""The time that a service may need after SIGTERM: calls, then batches in progress, then its connections."""

_PINNED = re.compile(r"^[\w./-]+:v?\d+\.\d+(\.\d+)?(-\w+)?$")
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|DATABASE_URL")
_PASSWORD_IN_URL = re.compile(r"://[^/\s:]+:[^/\s@]+@")


def runs_on(service: Service) -> bool:
    """Return true for a long-running service, false for a job."""
    return service.get("restart") != "no"


def every_image_is_pinned(name: str, service: Service, compose: Compose) -> Iterator[str]:
    if not _PINNED.match(service.get("image", "")):
        yield f"{name}: image {service.get('image')!r} names no exact version"


def every_long_running_service_tells_its_health(name: str, service: Service, compose: Compose) -> Iterator[str]:
    check = service.get("healthcheck", {})
    if runs_on(service) and (not check.get("test") or check.get("disable") or check["test"] == ["NONE"]):
        yield f"{name}: no health check"


def every_service_is_given_the_time_to_drain(name: str, service: Service, compose: Compose) -> Iterator[str]:
    """Docker's default grace of ten seconds would kill it before it has finished."""
    grace = re.fullmatch(r"(\d+)s", service.get("stop_grace_period", "10s"))
    if name in ALL_SERVICES and not (grace and int(grace[1]) >= DRAIN_SECONDS):
        yield f"{name}: is killed {service.get('stop_grace_period', '10s')} after SIGTERM"


def nobody_is_root(name: str, service: Service, compose: Compose) -> Iterator[str]:
    if str(service.get("user", "root")).split(":")[0] in ("root", "0", ""):
        yield f"{name}: runs as root"


def rights_are_small(name: str, service: Service, compose: Compose) -> Iterator[str]:
    if not service.get("read_only") and name not in WRITES_TO_ITS_OWN_FOLDERS:
        yield f"{name}: its root file system is writable"
    if service.get("cap_drop") != ["ALL"] or service.get("privileged"):
        yield f"{name}: keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield f"{name}: may gain privileges"


def ports_are_published_on_loopback(name: str, service: Service, compose: Compose) -> Iterator[str]:
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            yield f"{name}: port {port} is open to the network"


def what_is_waited_for_exists_and_can_happen(name: str, service: Service, compose: Compose) -> Iterator[str]:
    for other, need in service.get("depends_on", {}).items():
        target = compose["services"].get(other)
        if target is None:
            yield f"{name}: depends on {other}, which is not there"
        elif need["condition"] == "service_healthy" and "healthcheck" not in target:
            yield f"{name}: waits for {other} to be healthy, which has no health check"
        elif need["condition"] == "service_completed_successfully" and runs_on(target):
            yield f"{name}: waits for the end of {other}, which does not end"
        elif need["condition"] == "service_started":
            yield f"{name}: does not wait until {other} is ready"
        elif set(target.get("profiles", [])) - set(service.get("profiles", [])) and need.get("required", True):
            yield f"{name}: needs {other}, which is not there without its profile"


def no_secret_is_written_down(name: str, service: Service, compose: Compose) -> Iterator[str]:
    for variable, value in service.get("environment", {}).items():
        if _SECRET_NAME.search(variable) and not variable.endswith("_FILE"):
            yield f"{name}: {variable} is not read from a file"
        elif _PASSWORD_IN_URL.search(str(value)):
            yield f"{name}: {variable} holds a password"


def what_is_mounted_is_declared(name: str, service: Service, compose: Compose) -> Iterator[str]:
    for secret in service.get("secrets", []):
        if compose["secrets"].get(secret, {}).get("file") != f".secrets/{secret}":
            yield f"{name}: secret {secret} is not declared as a file in .secrets/"
    for variable, value in service.get("environment", {}).items():
        place, _, secret = str(value).rpartition("/")
        if place == "/run/secrets" and secret not in service.get("secrets", []):
            yield f"{name}: {variable} points at a secret that it is not given"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith("./") and source not in compose["volumes"]:
            yield f"{name}: volume {source} is not declared"


Rule = Callable[[str, Service, Compose], Iterator[str]]

RULES: tuple[Rule, ...] = (
    every_image_is_pinned,
    every_long_running_service_tells_its_health,
    every_service_is_given_the_time_to_drain,
    nobody_is_root,
    rights_are_small,
    ports_are_published_on_loopback,
    what_is_waited_for_exists_and_can_happen,
    no_secret_is_written_down,
    what_is_mounted_is_declared,
)


def faults(compose: Compose) -> list[str]:
    """All violations of the rules."""
    services = compose["services"].items()
    return [fault for name, service in services for rule in RULES for fault in rule(name, service, compose)]
