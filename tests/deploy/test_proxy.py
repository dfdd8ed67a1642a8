"""The reverse proxy: its layer of compose by our rules, and its configuration run by nginx where there is one."""

import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from deploy.local import compose_secrets
from deploy.local.paths import ROOT
from deploy.local.ports import free_port
from libs.common.events.topics import SERVICES
from libs.common.runtime.metrics_api import PATH as METRICS_PATH
from services.intake.customer_pages import find_order
from services.intake.customer_pages.wiring import UPLOADS as PAGE_UPLOADS
from services.intake.desk import openid_sign_in, pages, sign_in
from services.intake.desk.auth import SIGN_IN_PATH
from services.intake.desk.openid import CALLBACK_PATH
from services.intake.http.photos import UPLOADS
from tests.deploy.compose_files import read_compose
from tests.deploy.compose_rules import faults
from tests.running import eventually

FOLDER = ROOT / "deploy" / "proxy"
CONFIG = (FOLDER / "nginx.conf").read_text("utf-8")
PORTS = dict(zip(SERVICES, (8441, 8442, 8443, 8444), strict=True))
NGINX = shutil.which("nginx") or next(iter(Path("/usr/sbin").glob("nginx")), None)
needs_nginx = pytest.mark.skipif(NGINX is None and not os.environ.get("CI"), reason="nginx is not installed")


@pytest.fixture
def layer() -> dict[str, Any]:
    return read_compose(FOLDER / "docker-compose.yml")


def test_the_layer_keeps_to_the_rules_of_compose(layer: dict[str, Any]) -> None:
    below = read_compose(ROOT / "docker-compose.yml")
    proxy = {"proxy": layer["services"]["proxy"]}
    together = {
        **below,
        "services": {**below["services"], **proxy},
        "secrets": {**below["secrets"], **layer["secrets"]},
    }
    assert faults(together) == []


def test_each_service_believes_the_proxy_alone(layer: dict[str, Any]) -> None:
    address = layer["services"]["proxy"]["networks"]["edge"]["ipv4_address"]
    assert {layer["services"][name]["environment"]["TRUSTED_PROXIES"] for name in SERVICES} == {address}
    assert all("edge" in layer["services"][name]["networks"] for name in SERVICES)


def test_the_desk_keeps_its_cookies_to_tls_and_links_lead_to_the_proxy(layer: dict[str, Any]) -> None:
    settings = layer["services"]["intake"]["environment"]
    assert settings["DESK_SECURE_COOKIES"] == "true"
    for name in ("intake", "delivery_notify"):
        assert layer["services"][name]["environment"]["PUBLIC_URL"] == f"https://localhost:{PORTS[name]}"


def test_the_paths_of_the_configuration_are_those_of_the_service() -> None:
    routers = (pages.router, sign_in.router, find_order.router)
    paths = {getattr(route, "path", None) for router in routers for route in router.routes}
    exact = set(re.findall(r"location (?:=|\^~) (\S+) ", CONFIG))
    assert (exact, exact - paths) == ({"/desk/live", find_order.FIND_PATH, SIGN_IN_PATH, METRICS_PATH}, {METRICS_PATH})
    for path in (openid_sign_in.BEGIN_PATH, CALLBACK_PATH):
        assert path.startswith(f"{SIGN_IN_PATH}/"), "limited with the sign-in by password"


def test_no_header_of_a_caller_names_an_address() -> None:
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in CONFIG
    assert "$proxy_add_x_forwarded_for" not in CONFIG


def test_the_log_holds_no_address_of_a_page() -> None:
    log_format = CONFIG.partition("log_format")[2].partition(";")[0]
    assert [
        name for name in ("$request ", "$request_uri", "$uri", "$http_referer", "$args") if name in log_format
    ] == []


def local_configuration(folder: Path, upstream: int, ports: dict[int, int]) -> Path:
    """The configuration with the ports, files and one upstream of this machine."""
    compose_secrets.write(folder / "secrets")
    text = CONFIG.replace(" /tmp/", f" {folder}/").replace("/run/secrets", str(folder / "secrets"))
    text = text.replace("/dev/stdout", str(folder / "access.log")).replace("/dev/stderr", str(folder / "error.log"))
    for service in SERVICES:
        text = text.replace(f"http://{service}:8000", f"http://127.0.0.1:{upstream}")
    for configured, used in ports.items():
        text = text.replace(f"listen {configured} ", f"listen 127.0.0.1:{used} ")
    text = text.replace("127.0.0.1:8440", f"127.0.0.1:{free_port()}")
    file = folder / "nginx.conf"
    file.write_text(text, encoding="utf-8")
    return file


@contextmanager
def nginx(file: Path) -> Iterator[None]:
    process = subprocess.Popen([str(NGINX), "-c", str(file), "-p", str(file.parent), "-g", "daemon off;"])
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def echo() -> FastAPI:
    """An upstream that answers with the head of the request and the size of its body."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def answer(request: Request) -> dict[str, Any]:
        return {"headers": dict(request.headers), "size": len(await request.body())}

    return app


@asynccontextmanager
async def proxied(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the proxy's port of intake, in front of `echo`."""
    upstream, ports = free_port(), {port: free_port() for port in PORTS.values()}
    server = uvicorn.Server(uvicorn.Config(echo(), port=upstream, log_config=None))
    serving = asyncio.create_task(server.serve())
    file = local_configuration(folder, upstream, ports)
    trust = ssl.create_default_context(cafile=str(folder / "secrets" / "proxy_certificate"))
    url = f"https://localhost:{ports[PORTS['intake']]}"
    try:
        with nginx(file):
            async with httpx.AsyncClient(base_url=url, verify=trust, timeout=30) as client:

                async def ready() -> bool:
                    try:
                        return (await client.get("/ready")).status_code == 200
                    except httpx.HTTPError:
                        return False

                await eventually(ready, "the proxy answers", every=0.1)
                yield client
    finally:
        server.should_exit = True
        await serving


@needs_nginx
async def test_it_replaces_the_address_that_a_caller_claims(tmp_path: Path) -> None:
    async with proxied(tmp_path) as client:
        claimed = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Forwarded-Proto": "http"}
        headers = (await client.get("/s/token", headers=claimed)).json()["headers"]
    assert "203.0.113.9" not in json.dumps(headers)
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "https")


@needs_nginx
async def test_it_keeps_what_is_for_operators_inside_and_links_out_of_its_log(tmp_path: Path) -> None:
    async with proxied(tmp_path) as client:
        inside = [await client.get(path) for path in ("/ops/counters", "/metrics", "/health/ready")]
        page = await client.get("/s/a-secret-token?x=1")
        log = (tmp_path / "access.log").read_text("utf-8")
    assert [answer.status_code for answer in (*inside, page)] == [404, 404, 404, 200]
    assert "max-age" in page.headers["strict-transport-security"]
    assert "a-secret-token" not in log


@needs_nginx
@pytest.mark.parametrize("path", [path.format(token="t", issue_id="i") for path in (*UPLOADS, *PAGE_UPLOADS)])
async def test_uploads_may_be_large_and_nothing_else(path: str, tmp_path: Path) -> None:
    body = bytes(2 * 1024 * 1024)
    async with proxied(tmp_path) as client:
        upload, other = await client.post(path, content=body), await client.post("/v1/issues", content=body)
    assert (upload.status_code, upload.json()["size"]) == (200, len(body))
    assert other.status_code == 413


@needs_nginx
async def test_one_address_may_not_ask_without_end_and_least_of_all_for_a_sign_in(tmp_path: Path) -> None:
    async with proxied(tmp_path) as client:
        counts = {}
        for path in ("/s/token", SIGN_IN_PATH):
            answers = [await client.get(path) for _ in range(40)]
            counts[path] = sum(answer.status_code == 429 for answer in answers)
    assert counts["/s/token"] == 0
    assert counts[SIGN_IN_PATH] >= 25


@needs_nginx
async def test_headers_without_an_end_are_refused_before_the_service(tmp_path: Path) -> None:
    async with proxied(tmp_path) as client:
        answer = await client.get("/s/token", headers={f"x-{n}": "x" * 7000 for n in range(6)})
    assert answer.status_code in (400, 431)
