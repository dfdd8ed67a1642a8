"""Upload routes of intake: only the named routes accept more than a JSON body."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Mount

from libs.common.events.json_text import well_formed
from libs.common.http import body_limit
from libs.common.http.body_limit import BodyLimitMiddleware
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.running import LINK_SECRETS, NO_KAFKA


@pytest.fixture(scope="module")
def intake(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The app without a database: refusals come before any query."""
    settings: dict[str, object] = {
        "database_url": "postgresql://nobody@localhost/none",
        "kafka_bootstrap_servers": NO_KAFKA,
        "evidence_dir": Path(tmp_path_factory.mktemp("evidence")),
        "public_url": "http://shop",
        "link_secrets": LINK_SECRETS,
    }
    return create_app(IntakeSettings.model_validate(settings))


async def status_of(app: FastAPI, path: str) -> int:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return (await client.post(path, content=b"x" * (body_limit.MAX_BODY_BYTES + 1))).status_code


@pytest.mark.parametrize("path", ["/v/photos", "/v/report", "/v/a-token", "/desk/sign-in", "/s/photos/window"])
async def test_no_address_talks_a_call_out_of_its_limit(intake: FastAPI, path: str) -> None:
    assert await status_of(intake, path) == 413


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/photos", 401),
        ("/v1/issues/6c1e9d3e-6ae4-4a53-b6c2-8f8f8d3d2a11/photos", 401),
        ("/u/a-token/photos", 404),
        ("/s/a-token/photos", 404),
        ("/r/a-token/report", 404),
        ("/v1/webhooks/standard", 404),
        ("/v1/webhooks/shopify", 404),
    ],
)
async def test_an_upload_is_asked_who_it_is_before_it_is_read(intake: FastAPI, path: str, status: int) -> None:
    assert await status_of(intake, path) == status


async def test_an_upload_keeps_its_own_limit_where_the_service_is_mounted_below_a_path(intake: FastAPI) -> None:
    assert await status_of(FastAPI(routes=[Mount("/intake", intake)]), "/intake/v1/photos") == 401


@pytest.mark.parametrize(("path", "received"), [("/text", "a\ufffdb"), ("/signed", "a\0b")])
async def test_only_a_route_with_a_signature_gets_its_body_as_it_was_sent(path: str, received: str) -> None:
    app = FastAPI()
    app.add_middleware(BodyLimitMiddleware, repair=well_formed, signed=("/signed",))

    @app.post(path)
    async def echo(text: dict[str, str]) -> str:
        return text["text"]

    headers = {"Content-Type": "application/json", "Webhook-Signature": "of anybody"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        answer = await client.post(path, content=b'{"text": "a\\u0000b"}', headers=headers)
    assert answer.json() == received
