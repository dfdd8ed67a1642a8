"""Signing in by an identity provider: who gets in with which role, and what a wrong answer opens (nothing)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from typer.testing import CliRunner

from services.intake.app import create_app
from services.intake.cli import staff
from services.intake.desk.accounts import StaffRole
from services.intake.desk.openid import CALLBACK_PATH, CONFIGURATION_SECONDS
from services.intake.desk.openid_sign_in import BEGIN_PATH, PENDING_LIFETIME
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.intake.desk.openid_provider import CLIENT_ID, CLIENT_SECRET, Claims, Provider, provider
from tests.intake.issue_states import PASSWORD, hire
from tests.running import Live, running

DESK = "https://desk.example"
HANAKO: Claims = {"sub": "u-1", "preferred_username": "Hanako", "groups": ["everyone", "support-agents"]}


def openid_settings(issuer: str, **changes: Any) -> dict[str, Any]:
    return {
        "oidc_issuer": issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "oidc_roles": "viewer=support,agent=support-agents,admin=support-leads",
        "desk_url": DESK,
        **changes,
    }


@pytest.fixture
async def identity_provider() -> AsyncIterator[Provider]:
    async with provider() as found:
        found.claims = dict(HANAKO)
        yield found


@pytest.fixture
async def live(identity_provider: Provider, database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Live]:
    settings = openid_settings(identity_provider.issuer)
    async with running(
        create_app, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path, **settings
    ) as live:
        yield live


class Browser:
    """A browser at the desk that follows the provider's redirects, as a person would."""

    def __init__(self, live: Live) -> None:
        transport = httpx.ASGITransport(live.app, raise_app_exceptions=False)
        self.desk = httpx.AsyncClient(transport=transport, base_url=DESK)

    async def begin(self, next_page: str = "/desk") -> str:
        """Begin a sign-in; return the address at the provider."""
        answer = await self.desk.get(BEGIN_PATH, params={"next": next_page})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def at_provider(self, address: str) -> str:
        """Sign in at the provider; return the address it sends the browser back to."""
        async with httpx.AsyncClient() as client:
            return (await client.get(address)).headers["location"]

    async def sign_in(self, next_page: str = "/desk") -> httpx.Response:
        return await self.desk.get(await self.at_provider(await self.begin(next_page)))

    async def role(self) -> str | None:
        page = await self.desk.get("/desk")
        return page.text.partition("<small>")[2].partition("</small>")[0] if page.status_code == 200 else None


async def accounts(live: Live) -> dict[str, str]:
    return {row["name"]: row["role"] for row in await live.service.pool.fetch("SELECT name, role FROM staff")}


async def test_who_the_provider_knows_is_signed_in_with_the_role_of_their_group(live: Live) -> None:
    browser = Browser(live)
    answer = await browser.sign_in("/desk/insights")
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/desk/insights">' in answer.text
    assert await browser.role() == "担当"
    assert await accounts(live) == {"hanako": "agent"}


async def test_the_cookie_of_the_session_is_as_strict_as_with_a_password(live: Live) -> None:
    cookies = (await Browser(live).sign_in()).headers.get_list("set-cookie")
    session = next(cookie for cookie in cookies if cookie.startswith("__Host-desk="))
    assert all(part in session for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))


async def test_a_sign_in_closes_the_earlier_session_of_its_browser(live: Live) -> None:
    browser, elsewhere = Browser(live), Browser(live)
    await elsewhere.sign_in()
    await browser.sign_in()
    back = await browser.at_provider(await browser.begin())
    browser.desk.cookies.delete("__Host-desk")  # strict: it does not come along from another site
    await browser.desk.get(back)
    assert (await browser.role(), await elsewhere.role()) == ("担当", "担当")
    assert await live.service.pool.fetchval("SELECT count(*) FROM staff_sessions") == 2


async def test_the_role_is_that_of_the_last_sign_in(live: Live, identity_provider: Provider) -> None:
    browser = Browser(live)
    await browser.sign_in()
    identity_provider.claims["groups"] = ["support-leads", "support"]
    await browser.sign_in()
    assert await accounts(live) == {"hanako": "admin"}


@pytest.mark.parametrize(
    ("groups", "role"),
    [(["support", "support-leads"], "admin"), ("support", "viewer"), (["everyone"], None), (None, None), ([7], None)],
)
async def test_the_highest_group_counts_and_without_one_nobody_gets_in(
    live: Live, identity_provider: Provider, groups: object, role: str | None
) -> None:
    identity_provider.claims["groups"] = groups
    browser = Browser(live)
    answer = await browser.sign_in()
    assert (answer.status_code, await accounts(live)) == ((200, {"hanako": role}) if role else (403, {}))
    assert (await browser.role() is not None) == (role is not None)


async def test_who_comes_back_without_a_role_loses_the_sessions_that_are_open(
    live: Live, identity_provider: Provider
) -> None:
    browser, elsewhere = Browser(live), Browser(live)
    await browser.sign_in()
    identity_provider.claims["groups"] = ["everyone"]
    assert (await elsewhere.sign_in()).status_code == 403
    assert await browser.role() is None


@pytest.mark.parametrize("claim", ["realm_access.roles", "https://shop.example/roles"])
async def test_roles_are_found_in_nested_and_in_namespaced_claims(
    claim: str, identity_provider: Provider, database: MakeDatabase, tmp_path: Path
) -> None:
    nested: Claims = {"realm_access": {"roles": ["support-leads"]}, "https://shop.example/roles": ["support-leads"]}
    identity_provider.claims = {**HANAKO, "groups": None, **nested}
    settings = openid_settings(identity_provider.issuer, oidc_role_claim=claim)
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path, **settings) as live:
        await Browser(live).sign_in()
        assert await accounts(live) == {"hanako": "admin"}


async def test_a_name_that_somebody_has_already_opens_nothing_of_theirs(
    live: Live, identity_provider: Provider
) -> None:
    await hire(live, "hanako", StaffRole.ADMIN)
    await Browser(live).sign_in()
    identity_provider.claims["sub"] = "u-2"
    await Browser(live).sign_in()
    assert await accounts(live) == {"hanako": "admin", "hanako-2": "agent", "hanako-3": "agent"}


async def test_an_account_of_the_provider_has_no_password(live: Live) -> None:
    browser = Browser(live)
    await browser.sign_in()
    entered = await Browser(live).desk.post("/desk/sign-in", data={"name": "hanako", "password": PASSWORD})
    assert entered.status_code == 401


async def test_a_disabled_account_stays_out_whatever_the_provider_says(live: Live) -> None:
    browser = Browser(live)
    await browser.sign_in()
    await live.service.pool.execute("UPDATE staff SET disabled_at = now() WHERE name = 'hanako'")
    assert (await browser.sign_in()).status_code == 403
    assert await browser.role() is None


WRONG_TOKENS: dict[str, Claims] = {
    "another client": {"aud": "another-client"},
    "another issuer": {"iss": "https://elsewhere.example"},
    "another sign-in": {"nonce": "of-another-sign-in"},
    "no sign-in": {"nonce": None},
    "expired": {"exp": 1_700_000_000},
    "nobody": {"sub": None},
    "nobody whom a database could hold": {"sub": "u-1\0"},
    "somebody with an endless id": {"sub": "u" * 256},
}


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
async def test_a_wrong_token_opens_nothing_and_the_log_says_why(
    wrong: str, live: Live, identity_provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    changes = WRONG_TOKENS[wrong]
    identity_provider.spoil = lambda claims: {
        name: value for name, value in {**claims, **changes}.items() if value is not None
    }
    browser = Browser(live)
    assert (await browser.sign_in()).status_code == 400
    assert (await browser.role(), await accounts(live)) == (None, {})
    assert "invalid answer of the identity provider error=" in caplog.text


async def test_a_token_that_another_key_signed_opens_nothing(live: Live, identity_provider: Provider) -> None:
    identity_provider.published = RSAKey.generate_key(2048, {"kid": "1"})
    assert (await Browser(live).sign_in()).status_code == 400
    assert await accounts(live) == {}


async def test_a_new_key_of_the_provider_is_fetched(live: Live, identity_provider: Provider) -> None:
    await Browser(live).sign_in()
    identity_provider.key = RSAKey.generate_key(2048, {"kid": "2"})
    assert (await Browser(live).sign_in()).status_code == 200


async def test_an_answer_counts_in_the_browser_that_began_and_once(live: Live) -> None:
    browser, stranger = Browser(live), Browser(live)
    back = await browser.at_provider(await browser.begin())
    assert (await stranger.desk.get(back)).status_code == 400
    await stranger.begin()
    assert (await stranger.desk.get(back)).status_code == 400
    assert (await browser.desk.get(back)).status_code == 200
    assert (await browser.desk.get(back)).status_code == 400


async def test_a_sign_in_that_took_too_long_begins_again(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(live)
    back = await browser.at_provider(await browser.begin())
    later = live.service.clock.now() + PENDING_LIFETIME
    monkeypatch.setattr(live.service.clock, "now", lambda: later)
    assert (await browser.desk.get(back)).status_code == 400


@pytest.mark.parametrize("query", ["error=access_denied", "code=", "", "code=x&error=server_error", "code=%00%ff"])
async def test_an_answer_without_a_right_code_opens_nothing(live: Live, query: str) -> None:
    browser = Browser(live)
    state = parse_qs(urlsplit(await browser.begin()).query)["state"][0]
    assert (await browser.desk.get(f"{CALLBACK_PATH}?state={state}&{query}")).status_code in (400, 403)
    assert await browser.role() is None


async def test_the_page_after_the_sign_in_is_one_of_the_desk(live: Live) -> None:
    assert 'url=/desk"' in (await Browser(live).sign_in("https://evil.example/desk")).text


async def test_a_provider_that_is_down_is_named_with_a_time_to_try_again(
    live: Live, identity_provider: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(identity_provider, "issuer", "https://elsewhere.example")
    answer = await Browser(live).desk.get(BEGIN_PATH)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "its configuration says 'https://elsewhere.example'" in caplog.text
    monkeypatch.undo()
    assert (await Browser(live).sign_in()).status_code == 200, "the wrong answer is not kept"


@pytest.mark.parametrize(
    "configure",
    [
        lambda _: [],
        lambda _: None,
        lambda known: {**known, "authorization_endpoint": None},
        lambda known: {**known, "token_endpoint": None},
        lambda known: {**known, "jwks_uri": None},
    ],
)
async def test_a_configuration_without_what_a_sign_in_needs_is_no_server_error(
    configure: Callable[[Claims], Any], live: Live, identity_provider: Provider
) -> None:
    identity_provider.configure = configure
    assert (await Browser(live).desk.get(BEGIN_PATH)).status_code == 503


async def test_a_key_that_the_provider_withdrew_is_trusted_no_longer(
    live: Live, identity_provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Browser(live).sign_in()
    identity_provider.published = RSAKey.generate_key(2048, {"kid": "1"})
    later = monotonic() + CONFIGURATION_SECONDS
    monkeypatch.setattr("services.intake.desk.openid.monotonic", lambda: later)
    assert (await Browser(live).sign_in()).status_code == 400


async def test_without_a_provider_the_routes_say_so(database: MakeDatabase, tmp_path: Path) -> None:
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path) as live:
        for path in (BEGIN_PATH, CALLBACK_PATH):
            assert (await live.client.get(path)).status_code == 404
        assert BEGIN_PATH not in (await live.client.get("/desk/sign-in")).text


async def test_passwords_can_be_closed(identity_provider: Provider, database: MakeDatabase, tmp_path: Path) -> None:
    url = await database("intake")
    settings = openid_settings(identity_provider.issuer, desk_openid_only=True)
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path, **settings) as live:
        await hire(live, "aki", StaffRole.ADMIN)
        assert 'type="password"' not in (await live.client.get("/desk/sign-in")).text
        entered = await live.client.post("/desk/sign-in", data={"name": "aki", "password": PASSWORD})
        assert entered.status_code == 403


async def test_everybody_ends_their_own_sessions_and_an_admin_those_of_all(
    live: Live, identity_provider: Provider
) -> None:
    phone, laptop, boss = Browser(live), Browser(live), Browser(live)
    await phone.sign_in()
    await laptop.sign_in()
    identity_provider.claims = {**HANAKO, "sub": "u-9", "preferred_username": "aki", "groups": ["support-leads"]}
    await boss.sign_in()

    async def end_all_shown(browser: Browser) -> int:
        page = (await browser.desk.get("/desk/sessions")).text
        shown = [part.partition('"')[0] for part in page.split('name="end.')[1:]]
        form = {"csrf": page.partition('name="csrf" value="')[2].partition('"')[0]}
        await browser.desk.post("/desk/sessions", data=form | {f"end.{digest}": "on" for digest in shown})
        return len(shown)

    assert await end_all_shown(laptop) == 2
    assert (await phone.role(), await laptop.role(), await boss.role() is None) == (None, None, False)
    await phone.sign_in()
    assert await end_all_shown(boss) == 2


async def test_an_account_of_the_provider_is_given_no_password(
    identity_provider: Provider, database: MakeDatabase, tmp_path: Path
) -> None:
    url = await database("intake")
    settings = openid_settings(identity_provider.issuer)
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path, **settings) as live:
        await Browser(live).sign_in()
        environment = {"STAFF_PASSWORD": PASSWORD, "DATABASE_URL": url}
        answer = await asyncio.to_thread(CliRunner(env=environment).invoke, staff.app, ["password", "hanako"])
        assert "identity provider" in str(answer.exception)
        assert (await Browser(live).sign_in()).status_code == 200
