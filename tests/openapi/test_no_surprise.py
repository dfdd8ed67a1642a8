"""Every route of every service, called with valid and invalid input drawn from its document: never a 5xx answer.

Schemathesis draws the calls from the OpenAPI document; the service runs on a real Postgres without a broker. The
number of calls per route is bounded, and failures are not shrunk, because each one is shown as it was sent.
"""

import contextlib
import importlib
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from deploy.api.api_docs import FOLDER
from deploy.service_settings import settings_class
from libs.common.events.topics import ALL_SERVICES
from tests.examples import examples
from tests.partners.service import as_partner, partners_toml
from tests.running import OPS, STOREFRONT, Live, running, traced

CALLS_PER_ROUTE = examples(6)

SETTINGS: dict[str, dict[str, Any]] = {
    "delivery_notify": {
        "smtp_url": "discard://",
        "mail_from": "さきだし商店 <shop@example.com>",
        "public_url": "http://service",
        "customer_pages_url": "http://service",
    },
    "partners": {"partners": partners_toml()},
}
ISSUE = "cd80b04b-5750-5483-a078-91988b0165df"


@schemathesis.serializer("message/rfc822")
def _as_mail(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("service", ALL_SERVICES)
async def test_no_call_is_answered_with_a_surprise(
    service: str, database: Callable[[str], Awaitable[str]], tmp_path: Path
) -> None:
    module = importlib.import_module(f"services.{service}.app")
    own = {**traced(), **({"evidence_dir": tmp_path} if service == "intake" else SETTINGS.get(service, {}))}
    calls = list(
        calls_of(service)
    )  # before anything runs: Hypothesis minds a thread that draws random numbers beside it
    async with running(module.create_app, settings_class(service), database=await database(service), **own) as live:
        surprises = [found for call in calls if (found := await surprise(live, call))]
    assert surprises == []


def calls_of(service: str) -> Iterator[requests.PreparedRequest]:
    """Yield valid and invalid calls per route of the published document, which another test compares with the app."""
    document = (FOLDER / f"{service}.openapi.json").read_text("utf-8")
    schema = schemathesis.openapi.from_dict(json.loads(document))
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.path.startswith("/health"):
            continue  # 503 is what these are for, and there is no broker here
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            yield from _drawn(operation, mode)


def _drawn(operation: Any, mode: GenerationMode) -> list[requests.PreparedRequest]:
    drawn: list[requests.PreparedRequest] = []

    @settings(
        max_examples=CALLS_PER_ROUTE,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(mode), st.booleans())
    def draw(case: Any, known: bool) -> None:
        if known and "issue_id" in (case.path_parameters or {}):
            case.path_parameters["issue_id"] = ISSUE
        if operation.path.startswith("/v1/partner/"):
            case.path_parameters["name"] = "acme"
        drawn.append(requests.Request(**case.as_transport_kwargs(base_url="http://service")).prepare())

    with contextlib.suppress(Unsatisfiable):  # a route that takes anything cannot be called wrongly
        draw()
    return drawn


async def surprise(live: Live, call: requests.PreparedRequest) -> str | None:
    """Return the call and its answer if the answer is 5xx; each call is made for each caller until one is allowed."""
    content: Any = call.body
    for caller in (OPS, STOREFRONT, as_partner("acme")):
        headers: Any = {**dict(call.headers), **caller}
        headers.setdefault("Idempotency-Key", f"call {id(call)}")
        answer = await live.client.request(str(call.method), str(call.url), headers=headers, content=content)
        if answer.status_code >= 500:
            return f"{call.method} {call.url} {call.body!r:.500}: {answer.status_code} {answer.text:.300}"
        if answer.status_code != 403:
            return None
    return None
