"""Prometheus itself with our configuration and rules: a running service is scraped, and alerts fire on their causes.

Series that other exporters have are made by them: the certificate is probed by the blackbox exporter. Intervals and
`for` are shortened, nothing else is changed.
"""

import asyncio
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml

from deploy.local.ports import free_port
from services.intake import app as intake
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.deploy.promtool import FOLDER, RULES
from tests.deploy.scraping import at_rest
from tests.running import API_KEYS, eventually, running
from tests.security.serving import listening

PROMETHEUS, BLACKBOX = shutil.which("prometheus"), shutil.which("prometheus-blackbox-exporter")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None and not os.environ.get("CI"), reason="prometheus is not installed"
)
needs_blackbox = pytest.mark.skipif(
    BLACKBOX is None and not os.environ.get("CI"), reason="prometheus-blackbox-exporter is not installed"
)
OPS_KEY = dict(each.split(":") for each in API_KEYS.split(","))["ops"]


@asynccontextmanager
async def started(program: str | None, *arguments: str, ready: str) -> AsyncIterator[None]:
    """Run a program until the block ends; it is ready when this address answers 200."""
    assert program, "CI installs Prometheus and its blackbox exporter, see .ci/run"
    process = await asyncio.create_subprocess_exec(program, *arguments, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient() as client:
            await eventually(lambda: _answers(client, ready), f"{ready} answers", seconds=60)
        yield
    finally:
        process.terminate()
        await process.wait()


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False


@asynccontextmanager
async def prometheus(folder: Path, scrape_configs: list[dict[str, Any]]) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the HTTP interface of a Prometheus with our rules, each with a `for` of one second."""
    rules = yaml.safe_load(RULES.read_text("utf-8"))
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        if "for" in rule:
            rule["for"] = "1s"
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))
    config |= {"scrape_configs": scrape_configs, "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}}
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules), "utf-8")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    url = f"127.0.0.1:{free_port()}"
    arguments = (
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={url}",
    )
    async with (
        started(PROMETHEUS, *arguments, ready=f"http://{url}/-/ready"),
        httpx.AsyncClient(base_url=f"http://{url}/api/v1") as client,
    ):
        yield client


def jobs_of_services(folder: Path, **addresses: str) -> list[dict[str, Any]]:
    """The scrape configurations of our file for these services, with their addresses here and the key of the tests."""
    key = folder / "ops_key"
    key.write_text(OPS_KEY, "utf-8")
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    for job in jobs:
        job["authorization"] = {"credentials_file": str(key)}
        job["static_configs"] = [{"targets": [addresses.get(job["job_name"])]}]
    return [job for job in jobs if job["job_name"] in addresses]


@needs_prometheus
async def test_a_service_is_scraped_and_its_end_is_an_alert(database: MakeDatabase, tmp_path: Path) -> None:
    url = await database("intake")
    async with (
        running(intake.create_app, IntakeSettings, database=url, evidence_dir=tmp_path) as live,
        AsyncExitStack() as served,
    ):
        await at_rest(live)
        port = (await served.enter_async_context(listening(live.app, live.service.settings))).port
        jobs = jobs_of_services(tmp_path, intake=f"127.0.0.1:{port}")
        async with prometheus(tmp_path, jobs) as client:
            await eventually(lambda: has_value(client, 'up{job="intake"}', 1), "the service is scraped", seconds=60)
            await eventually(lambda: has_value(client, 'sakidashi_outbox_depth{job="intake"}', 0), "it has no outbox")
            assert "ServiceDown" not in await firing(client)
            await served.aclose()
            await eventually(lambda: is_firing(client, "ServiceDown"), "its end is an alert", seconds=60)


@needs_prometheus
async def test_every_rule_can_be_evaluated(tmp_path: Path) -> None:
    async with prometheus(tmp_path, []) as client:
        await eventually(lambda: are_evaluated(client), "all rules are evaluated", seconds=60)
        assert [rule["lastError"] for rule in await rules_of(client) if "lastError" in rule] == []


@needs_prometheus
@needs_blackbox
@pytest.mark.parametrize(("days", "fires"), [(13, True), (15, False)])
async def test_a_certificate_that_expires_within_two_weeks_is_an_alert(days: int, fires: bool, tmp_path: Path) -> None:
    probe = {
        "prober": "tcp",
        "timeout": "5s",
        "tcp": {"tls": True, "tls_config": {"ca_file": str(tmp_path / "ca.pem")}},
    }
    (tmp_path / "blackbox.yml").write_text(yaml.safe_dump({"modules": {"certificate": probe}}), "utf-8")
    exporter = f"127.0.0.1:{free_port()}"
    flags = (f"--config.file={tmp_path}/blackbox.yml", f"--web.listen-address={exporter}")
    async with (
        serving_tls(tmp_path, timedelta(days=days)) as target,
        started(BLACKBOX, *flags, ready=f"http://{exporter}/-/healthy"),
    ):
        params = {"module": ["certificate"], "target": [target]}
        job = {"metrics_path": "/probe", "params": params, "static_configs": [{"targets": [exporter]}]}
        async with prometheus(tmp_path, [{"job_name": "blackbox", **job}]) as client:
            await eventually(lambda: has_value(client, "probe_success", 1), "the certificate is probed", seconds=60)
            if fires:
                await eventually(lambda: is_firing(client, "CertificateExpires"), "it is an alert", seconds=60)
            else:
                seen = await evaluations(client)
                await eventually(lambda: were_evaluated_since(client, seen), "the rules are evaluated again")
                assert await firing(client) == set()


@asynccontextmanager
async def serving_tls(folder: Path, validity: timedelta) -> AsyncIterator[str]:
    """Serve TLS with a certificate that is valid for this long; its authority is written to `ca.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + validity).configure_cert(context)
    server = await asyncio.start_server(_close, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def firing(client: httpx.AsyncClient) -> set[str]:
    """Return the names of the alerts that fire."""
    alerts = (await client.get("/alerts")).json()["data"]["alerts"]
    return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


async def is_firing(client: httpx.AsyncClient, alert: str) -> bool:
    return alert in await firing(client)


async def has_value(client: httpx.AsyncClient, query: str, value: float) -> bool:
    """Return whether an instant query has one answer with this value."""
    result = (await client.get("/query", params={"query": query})).json()["data"]["result"]
    return [float(each["value"][1]) for each in result] == [value]


async def rules_of(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    groups = (await client.get("/rules")).json()["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


async def are_evaluated(client: httpx.AsyncClient) -> bool:
    found = await rules_of(client)
    return bool(found) and all(rule["health"] != "unknown" for rule in found)


async def evaluations(client: httpx.AsyncClient) -> dict[str, str]:
    """Return the time of the last evaluation of each rule."""
    return {rule["name"]: rule["lastEvaluation"] for rule in await rules_of(client)}


async def were_evaluated_since(client: httpx.AsyncClient, before: dict[str, str]) -> bool:
    now = await evaluations(client)
    return all(now[name] != before[name] for name in before)
