"""Access to every route of intake: the list names who may call it, and each is tried by every other caller."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route

from libs.common.http.signed_links import Purpose, SignedLinks
from services.intake.app import create_app
from services.intake.desk.accounts import StaffRole
from services.intake.settings import IntakeSettings
from tests.intake.desk.conftest import NAMES, Desk
from tests.running import LINK_SECRETS, OPS, STOREFRONT

ACCESS: dict[str, str] = {
    # anybody: what says nothing of anybody
    "GET /health/live": "anybody",
    "GET /health/ready": "anybody",
    "GET /health/started": "anybody",
    "GET /assets/{digest}/{name}": "anybody",
    "GET /find": "anybody",
    "HEAD /find": "anybody",
    "POST /find": "anybody",
    "GET /desk/sign-in": "anybody",
    "POST /desk/sign-in": "anybody",
    "GET /desk/sign-in/openid": "anybody",
    "GET /desk/sign-in/openid/callback": "anybody",
    # keys of callers
    "POST /v1/issues": "storefront",
    "GET /v1/issues": "storefront ops",
    "GET /v1/issues/{issue_id}": "storefront ops",
    "POST /v1/photos": "storefront ops",
    "POST /v1/issues/{issue_id}/photos": "storefront ops",
    "GET /v1/issues/{issue_id}/photos/{sha256}": "storefront ops",
    "GET /v1/issues/{issue_id}/photos/{sha256}/thumbnail": "storefront ops",
    "POST /v1/issues/{issue_id}/details": "storefront ops",
    "POST /v1/mail": "ops",
    "POST /v1/report-links": "storefront",
    "POST /v1/issues/{issue_id}/decisions": "ops",
    "POST /v1/issues/{issue_id}/replies": "ops",
    "POST /v1/issues/{issue_id}/withdraw": "storefront",
    "POST /v1/customers/{customer_id:path}/erasure": "storefront ops",
    "GET /v1/insights": "ops",
    "GET /v1/insights/products": "ops",
    "GET /v1/insights/days": "ops",
    "GET /v1/insights/clusters": "ops",
    "GET /v1/insights/clusters/{cluster_id}": "ops",
    "POST /v1/insights/clusters/{cluster_id}/decision": "ops",
    "POST /v1/insights/clusters/{cluster_id}/release": "ops",
    "GET /metrics": "ops",
    "GET /ops/counters": "ops",
    "GET /ops/in-flight": "ops",
    "GET /ops/dead-letters": "ops",
    "GET /ops/dead-letters/{dead_letter_id}": "ops",
    "POST /ops/dead-letters/{dead_letter_id}/replay": "ops",
    "POST /ops/dead-letters/{dead_letter_id}/discard": "ops",
    # signatures over the body
    "POST /v1/webhooks/standard": "signature",
    "POST /v1/webhooks/shopify": "signature",
    # signed links
    "GET /s/{token}": "link status",
    "HEAD /s/{token}": "link status",
    "POST /s/{token}/window": "link status",
    "POST /s/{token}/photos": "link status",
    "POST /s/{token}/withdraw": "link status",
    "GET /v/{token}": "link survey",
    "HEAD /v/{token}": "link survey",
    "POST /v/{token}": "link survey",
    "GET /r/{token}": "link report",
    "HEAD /r/{token}": "link report",
    "POST /r/{token}/report": "link report",
    "GET /r/{token}/sent/{issue_id}": "link report",
    "POST /u/{token}/photos": "link upload",
    "POST /u/{token}/details": "link upload",
    "GET /u/{token}/photos/{sha256}": "link upload",
    "GET /u/{token}/photos/{sha256}/thumbnail": "link upload",
    # staff
    "GET /desk": "viewer",
    "GET /desk/work/{section}": "viewer",
    "GET /desk/issues/{issue_id}": "viewer",
    "GET /desk/issues/{issue_id}/photos/{sha256}": "viewer",
    "GET /desk/search": "viewer",
    "GET /desk/orders/{order_id:path}": "viewer",
    "GET /desk/insights": "viewer",
    "GET /desk/requests": "viewer",
    "GET /desk/sessions": "viewer",
    "POST /desk/sessions": "viewer",
    "GET /desk/anomalies/{anomaly_id}": "viewer",
    "GET /desk/live": "viewer",
    "POST /desk/language": "viewer",
    "POST /desk/sign-out": "viewer",
    "GET /desk/notices/{notice_id}": "agent",
    "POST /desk/issues/{issue_id}/confirm": "agent",
    "POST /desk/issues/{issue_id}/reply": "agent",
    "POST /desk/issues/{issue_id}/reply/send": "agent",
    "POST /desk/issues/{issue_id}/decide": "agent",
    "POST /desk/issues/{issue_id}/release": "agent",
    "POST /desk/issues/{issue_id}/notes": "agent",
    "POST /desk/orders/{order_id:path}/reports": "agent",
    "POST /desk/requests/{choice_id}": "agent",
    "POST /desk/anomalies/{anomaly_id}": "agent",
    "GET /desk/dead-letters": "admin",
    "GET /desk/dead-letters/{owner}/{dead_letter_id}": "admin",
    "POST /desk/dead-letters/{owner}/{dead_letter_id}/confirm": "admin",
    "POST /desk/dead-letters/{owner}/{dead_letter_id}/{action}": "admin",
}
DOCUMENTS = {"/", "/docs", "/docs/assets/{digest}/{name}", "/openapi.json"}
"""Entry point and API documentation, without personal data."""
ROLES = {role.value for role in StaffRole}


def routes_of(found: Iterable[BaseRoute]) -> Iterator[str]:
    """Yield every method and path, also those of included routers."""
    for route in found:
        if isinstance(route, Route | APIRoute):
            yield from (f"{method} {route.path}" for method in sorted(route.methods or ()))
        else:
            included = getattr(route, "original_router", None)
            assert isinstance(included, APIRouter), f"{route!r} is neither a route nor a router"
            yield from routes_of(included.routes)


def required(route: str) -> str | None:
    path = route.partition(" ")[2]
    if path in DOCUMENTS:
        return "anybody"
    return ACCESS.get(route)


def filled(path: str, desk: Desk | None = None, token: str = "nonsense") -> str:
    issue_id = str(desk.case.ids["issue_id"]) if desk else str(uuid4())
    values = {
        "{issue_id}": issue_id, "{sha256}": "0" * 64, "{section}": "reviews", "{notice_id}": str(uuid4()),
        "{anomaly_id}": str(uuid4()),
        "{owner}": "intake", "{dead_letter_id}": "1", "{action}": "replay", "{token}": token,
        "{cluster_id}": str(uuid4()), "{customer_id:path}": "C-77", "{order_id:path}": "SD-1",
    }  # fmt: skip
    for name, value in values.items():
        path = path.replace(name, value)
    return path


@pytest.fixture(scope="module")
def all_routes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    settings = IntakeSettings.model_validate(
        {
            "database_url": "postgresql://localhost/none",
            "kafka_bootstrap_servers": "localhost:9092",
            "evidence_dir": tmp_path_factory.mktemp("evidence"),
            "public_url": "http://localhost",
            "link_secrets": LINK_SECRETS,
        }
    )
    return list(routes_of(create_app(settings).routes))


def test_every_route_says_who_it_is_for(all_routes: list[str]) -> None:
    assert len(all_routes) >= 55
    assert [route for route in all_routes if required(route) is None] == []


def test_the_list_names_no_route_that_is_gone(all_routes: list[str]) -> None:
    assert sorted(ACCESS.keys() - set(all_routes)) == []


def of_kind(routes: list[str], *kinds: str) -> list[tuple[str, str, str]]:
    found = [(route, required(route) or "") for route in routes]
    return [(*route.split(" "), access) for route, access in found if access.split(" ")[0] in kinds]  # type: ignore[misc]


async def test_no_route_of_the_desk_opens_without_signing_in(desk: Desk, all_routes: list[str]) -> None:
    for method, path, _ in of_kind(all_routes, *ROLES):
        answer = await desk.client().request(method, filled(path, desk))
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/desk/sign-in"), path


@pytest.mark.parametrize("role", [StaffRole.VIEWER, StaffRole.AGENT])
async def test_no_route_does_what_a_role_does_not_allow(desk: Desk, all_routes: list[str], role: StaffRole) -> None:
    staff = await desk.as_(NAMES[role])
    for method, path, least in of_kind(all_routes, *ROLES):
        if role.includes(StaffRole(least)):
            continue
        address = filled(path, desk)
        answer = await (
            staff.get(address) if method == "GET" else staff.post(address, action="cancel:", comment="because")
        )
        assert answer.status_code == 403, f"{role} at {method} {path}: {answer.status_code}"


@pytest.mark.parametrize("role", list(StaffRole))
async def test_every_page_opens_for_its_role(desk: Desk, all_routes: list[str], role: StaffRole) -> None:
    staff = await desk.as_(NAMES[role])
    for method, path, least in of_kind(all_routes, *ROLES):
        if method == "GET" and role.includes(StaffRole(least)) and path != "/desk/live":
            answer = await staff.get(filled(path, desk))
            assert answer.status_code in (200, 303, 404), f"{role} at {path}: {answer.status_code}"
            assert "/desk/sign-in" not in answer.headers.get("location", ""), path


async def test_a_page_offers_nothing_that_the_role_may_not_do(desk: Desk) -> None:
    seen = (await (await desk.as_("vera")).get(desk.issue)).text
    assert ("/confirm" in seen, "/desk/notices/" in seen, "/desk/dead-letters" in seen) == (False, False, False)
    seen = (await (await desk.as_("hanako")).get(desk.issue)).text
    assert ("/confirm" in seen, "/desk/dead-letters" in seen) == (True, False)
    assert "/desk/dead-letters" in (await (await desk.as_("aki")).get(desk.issue)).text


async def test_no_key_and_no_session_stands_in_for_a_signature(desk: Desk, all_routes: list[str]) -> None:
    signed = of_kind(all_routes, "signature")
    assert len(signed) == 2
    for method, path, _ in signed:
        staff = await desk.as_("aki")
        for client, key in ((desk.live.client, STOREFRONT), (desk.live.client, OPS), (staff.client, {})):
            answer = await client.request(method, path, headers=key)
            assert answer.status_code == 404, path  # no secret is set here; with one it is 401, see its own tests
            assert answer.json()["code"] == "not_configured", answer.text


async def test_routes_for_callers_want_the_key_of_theirs(desk: Desk, all_routes: list[str]) -> None:
    for method, path, allowed in of_kind(all_routes, "storefront", "ops"):
        address = filled(path, desk)
        assert (await desk.live.client.request(method, address)).status_code == 401, path
        staff = await desk.as_("aki")
        assert (await staff.client.request(method, address)).status_code == 401, f"a session opens {path}"
        for name, key in (("storefront", STOREFRONT), ("ops", OPS)):
            if name not in allowed:
                assert (await desk.live.client.request(method, address, headers=key)).status_code == 403, path


@pytest.mark.parametrize("wrong", ["nonsense", "of another purpose", "too old", "of another secret", "about nothing"])
async def test_pages_behind_links_open_for_no_other_link(desk: Desk, all_routes: list[str], wrong: str) -> None:
    for method, path, access in of_kind(all_routes, "link"):
        answer = await desk.live.client.request(method, filled(path, desk, a_token(desk, access.split()[1], wrong)))
        refused = (404, 415, 422) if (wrong, access) == ("about nothing", "link upload") else (404,)
        assert answer.status_code in refused, f"{method} {path} with a link {wrong}: {answer.status_code}"


def a_token(desk: Desk, purpose: str, wrong: str) -> str:
    now, issue_id = datetime.now(UTC), str(desk.case.ids["issue_id"])
    subject = ("SD-1", "C-77", "ja") if purpose == "report" else (issue_id,)
    links, later = SignedLinks([LINK_SECRETS]), now + timedelta(days=1)
    match wrong:
        case "of another purpose":
            other = next(candidate for candidate in Purpose if candidate != purpose)
            return links.token(other, later, *subject)
        case "too old":
            return links.token(Purpose(purpose), now - timedelta(seconds=1), *subject)
        case "of another secret":
            return SignedLinks(["a-secret-that-is-none-of-ours"]).token(Purpose(purpose), later, *subject)
        case "about nothing":
            return links.token(Purpose(purpose), later, *([str(uuid4())] if purpose != "report" else ["x", "y", "ja"]))
    return "nonsense"


async def test_a_link_to_one_order_shows_no_issue_of_another(desk: Desk) -> None:
    links = SignedLinks([LINK_SECRETS])
    token = links.token(Purpose.REPORT, datetime.now(UTC) + timedelta(days=1), "SD-2", "C-77", "ja")
    assert (await desk.live.client.get(f"/r/{token}/sent/{desk.case.ids['issue_id']}")).status_code == 404


async def test_pages_with_somebodys_data_are_kept_by_nobody_and_framed_by_nobody(desk: Desk, live_token: str) -> None:
    staff = await desk.as_("aki")
    for page in (await staff.get("/desk"), await staff.get(desk.issue), await desk.live.client.get(f"/s/{live_token}")):
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert "'unsafe" not in page.headers["content-security-policy"]
        assert ("<style" in page.text, " style=" in page.text, "<script>" in page.text) == (False, False, False)


@pytest.fixture
def live_token(desk: Desk) -> str:
    later = datetime.now(UTC) + timedelta(days=1)
    return SignedLinks([LINK_SECRETS]).token(Purpose.STATUS, later, str(desk.case.ids["issue_id"]))
