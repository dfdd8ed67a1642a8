"""Access to every route of the services without a desk: the list names its callers, and others are refused."""

import importlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from deploy.service_settings import settings_class
from libs.common.http.signed_links import Purpose, SignedLinks
from tests.conftest import MakeDatabase
from tests.intake.desk.test_access import DOCUMENTS, routes_of
from tests.openapi.test_no_surprise import SETTINGS
from tests.running import LINK_SECRETS, OPS, STOREFRONT, Live, running

EVERYWHERE = {
    "GET /health/live": "anybody",
    "GET /health/ready": "anybody",
    "GET /health/started": "anybody",
    "GET /metrics": "ops",
    "GET /ops/counters": "ops",
    "GET /ops/in-flight": "ops",
    "GET /ops/dead-letters": "ops",
    "GET /ops/dead-letters/{dead_letter_id}": "ops",
    "POST /ops/dead-letters/{dead_letter_id}/replay": "ops",
    "POST /ops/dead-letters/{dead_letter_id}/discard": "ops",
}
ACCESS: dict[str, dict[str, str]] = {
    "returns": {
        "GET /v1/cases": "ops",
        "GET /v1/cases/kept-counts": "ops",
        "GET /v1/cases/{issue_id}": "ops",
        "POST /v1/cases/{issue_id}/kept-counts/{count_id:path}": "ops",
        "POST /v1/cases/kept-counts/{count_id:path}/settle": "ops",
        "GET /v1/cases/{issue_id}/exposure": "ops",
        "POST /v1/cases/{issue_id}/decisions": "ops",
        "POST /v1/cases/{issue_id}/reviews/{cause}": "ops",
        "POST /v1/cases/{issue_id}/cancel": "ops",
        "POST /v1/cases/{issue_id}/reopen": "ops",
    },
    "delivery_notify": {
        "GET /v1/orders/{order_id:path}/notices": "storefront ops",
        "GET /v1/orders/{order_id:path}/promises": "storefront ops",
        "GET /v1/orders/{order_id:path}/choices/{choice_id}/address": "storefront ops",
        "GET /v1/customers/{customer_id:path}/preferences": "storefront ops",
        "PUT /v1/customers/{customer_id:path}/preferences": "storefront ops",
        "DELETE /v1/customers/{customer_id:path}/preferences": "storefront ops",
        "GET /v1/customers/{customer_id:path}/consents": "storefront ops",
        "POST /v1/customers/{customer_id:path}/consents": "storefront ops",
        "GET /v1/promises/integrity": "ops",
        "PUT /v1/promises/integrity": "ops",
        "GET /v1/promises/accuracy": "ops",
        "GET /v1/promises/forecast": "ops",
        "GET /ops/staff-notices": "ops",
        "POST /ops/addresses/allow": "ops",
        "POST /v1/mail-reports": "ops",
        "GET /c/assets/{digest}/{name}": "anybody",
        "GET /c/{token}": "link choice",
        "HEAD /c/{token}": "link choice",
        "POST /c/{token}": "link choice",
        "GET /c/unsubscribe/{token}": "link unsubscribe",
        "HEAD /c/unsubscribe/{token}": "link unsubscribe",
        "POST /c/unsubscribe/{token}": "link unsubscribe",
        "GET /staff/notices/{token}": "link staff-notice",
    },
    "loyalty": {
        "GET /v1/customers/{customer_id:path}/balance": "storefront ops",
        "GET /v1/customers/{customer_id:path}/perks": "storefront ops",
        "GET /v1/customers/{customer_id:path}/entries": "storefront ops",
        "GET /v1/customers/{customer_id:path}/statement": "storefront ops",
        "POST /v1/customers/{customer_id:path}/redemptions": "storefront",
        "GET /v1/customers/{customer_id:path}/redemptions/{redemption_id}": "storefront",
        "POST /v1/customers/{customer_id:path}/redemptions/{redemption_id}/commit": "storefront",
        "POST /v1/customers/{customer_id:path}/redemptions/{redemption_id}/release": "storefront",
        "POST /v1/customers/{customer_id:path}/redemptions/{redemption_id}/return": "storefront",
        "POST /v1/customers/{customer_id:path}/adjustments": "ops",
        "GET /v1/loyalty/reviews": "ops",
        "POST /v1/customers/{customer_id:path}/reviews/{cause}": "ops",
        "GET /v1/loyalty/holdout": "ops",
    },
    "partners": {
        "POST /v1/partner/{name}/events": "the partner",
        "GET /v1/partner/{name}/events": "the partner",
        "POST /v1/partner/{name}/webhooks": "the partner ops",
        "GET /v1/partner/{name}/webhooks": "the partner ops",
        "DELETE /v1/partner/{name}/webhooks/{subscription_id}": "the partner ops",
        "POST /v1/partner/{name}/webhooks/{subscription_id}/secrets": "the partner ops",
        "DELETE /v1/partner/{name}/webhooks/{subscription_id}/secrets/old": "the partner ops",
        "POST /v1/partner/{name}/webhooks/{subscription_id}/resume": "the partner ops",
        "GET /v1/partner/{name}/webhooks/{subscription_id}/attempts": "the partner ops",
        "POST /v1/partner/{name}/webhooks/{subscription_id}/resend": "the partner ops",
    },
}
KEYS = {"storefront": STOREFRONT, "ops": OPS}


@pytest.fixture(params=list(ACCESS))
async def named(request: pytest.FixtureRequest, database: MakeDatabase) -> AsyncIterator[tuple[str, Live]]:
    name: str = request.param
    create_app = importlib.import_module(f"services.{name}.app").create_app
    settings = settings_class(name)
    async with running(create_app, settings, database=await database(name), **SETTINGS.get(name, {})) as live:
        yield name, live


def filled(path: str, token: str = "nonsense") -> str:
    values = {
        "{issue_id}": str(uuid4()), "{choice_id}": str(uuid4()), "{redemption_id}": str(uuid4()),
        "{dead_letter_id}": "1",
        "{cause}": "value", "{order_id:path}": "O-1", "{customer_id:path}": "C-1", "{count_id:path}": "E-1",
        "{name}": "acme", "{subscription_id}": str(uuid4()), "{token}": token,
    }  # fmt: skip
    for name, value in values.items():
        path = path.replace(name, value)
    return path


def tokens(purpose: str) -> list[str]:
    """Return links that open nothing: made up, other purpose, other secret, expired, unknown subject."""
    later, links, about = datetime.now(UTC) + timedelta(days=1), SignedLinks([LINK_SECRETS]), str(uuid4())
    right = next((candidate for candidate in Purpose if candidate == purpose), None)
    others = [candidate for candidate in Purpose if candidate is not right]
    made = ["nonsense", *(links.token(candidate, later, about) for candidate in others)]
    if right:
        made += [
            SignedLinks(["a-secret-that-is-none-of-ours"]).token(right, later, about),
            links.token(right, datetime.now(UTC) - timedelta(seconds=1), about),
            links.token(right, later, about),
        ]
    return made


async def test_every_route_stands_in_the_list_and_opens_for_nobody_else(named: tuple[str, Live]) -> None:
    name, live = named
    listed = {**EVERYWHERE, **ACCESS[name]}
    routes = [route for route in routes_of(live.app.routes) if route.partition(" ")[2] not in DOCUMENTS]
    assert sorted(routes) == sorted(listed), "ACCESS must list exactly the routes of the service, with their callers"
    for route, required in listed.items():
        method, path = route.split(" ")
        if required == "anybody":
            continue
        if required.startswith("link"):
            for token in tokens(required.split()[1]):
                answer = await live.client.request(method, filled(path, token))
                assert answer.status_code == 404, f"{route} with the link {token}: {answer.status_code}"
            continue
        assert (await live.client.request(method, filled(path))).status_code == 401, route
        wrong = {"Authorization": "Bearer a-key-that-nobody-has"}
        assert (await live.client.request(method, filled(path), headers=wrong)).status_code == 401, route
        for caller, key in KEYS.items():
            answer = await live.client.request(method, filled(path), headers=key)
            assert (answer.status_code == 403) == (caller not in required.split()), f"{route} by {caller}: {answer}"
