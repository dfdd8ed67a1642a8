"""Pages behind a session or a link, and the forms on them, with odd input: never a 5xx answer.

A signed-in member of staff with all rights, or a customer with a valid link, follows every link of the same part and
sends every form that is found with one field changed at a time. Schemathesis reads documents, not pages.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import httpx
import pytest

from libs.common.http.signed_links import Purpose, SignedLinks
from tests.intake.desk.conftest import Desk, desk
from tests.running import LINK_SECRETS
from tests.security.test_routes import filled, routes_of

__all__ = ["desk"]

FAR_TIME, FAR_NUMBER = "9999-12-31T23:59:59-23:59", str(2**63)
ODD = ["", " ", "\0", "x" * 20_000, "-1", "1e309", FAR_NUMBER, FAR_TIME, "{{7*7}}", "' OR 1=1 --", "é\u202e"]
"""Values of one field; a field is also left out and sent twice."""

NOT_FOLLOWED = ("/sign-out", "/desk/sessions", "/desk/live")
"""Ends of the session (odd fields of the list: tests/intake/desk/test_sessions.py), and an answer without an end
(tests/intake/desk/test_change_stream.py)."""

ODD_BODIES = [b"", b"&&==", b"%ff%fe=%00", b"a" * 70_000, b'{"json": true}']

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}

Fields = list[tuple[str, str]]


@dataclass
class Page(HTMLParser):
    """Links and forms of a page; of a choice the first option."""

    address: str
    links: set[str] = field(default_factory=set)
    forms: list[tuple[str, str, Fields]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in named:
            self.links.add(urljoin(self.address, named["href"]))
        elif tag == "form":
            action = urljoin(self.address, named.get("action") or self.address)
            self.forms.append((named.get("method", "get").upper(), action, []))
        elif tag in ("input", "textarea", "select", "button") and named.get("name") and self.forms:
            fields = self.forms[-1][2]
            if named["name"] not in dict(fields) and named.get("type") != "file":
                fields.append((named["name"], named.get("value", "")))


@dataclass
class Explorer:
    """Visits what is below `start`; `surprises` are calls that were answered 5xx."""

    client: httpx.AsyncClient
    start: str
    visited: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    surprises: list[str] = field(default_factory=list)

    async def explore(self, *addresses: str, pages: int = 60) -> None:
        waiting = deque(addresses)
        while waiting and len(self.visited) < pages:
            address = waiting.popleft().partition("#")[0]
            path = urlsplit(address).path
            if address in self.visited or not path.startswith(self.start) or path.endswith(NOT_FOLLOWED):
                continue
            self.visited.add(address)
            answer = await self._call("GET", address)
            if "html" not in answer.headers.get("content-type", ""):
                continue
            page = Page(str(answer.url))
            page.feed(answer.text)
            waiting += sorted(page.links)
            for method, action, fields in page.forms:
                place = f"{method} {action.partition('?')[0]} {[name for name, _ in fields]}"
                if place not in self.sent and not action.endswith(NOT_FOLLOWED):
                    self.sent.add(place)
                    await self._send_oddly(method, action, fields)

    async def _send_oddly(self, method: str, action: str, fields: Fields) -> None:
        for variant in variants(fields):
            if method == "GET":
                await self._call("GET", f"{action.partition('?')[0]}?{urlencode(variant)}")
            else:
                await self._call("POST", action, urlencode(variant).encode())
        if method == "POST":
            for body in ODD_BODIES:
                await self._call("POST", action, body)

    async def _call(self, method: str, address: str, body: bytes | None = None) -> httpx.Response:
        writes = method == "POST"
        headers = SAME_ORIGIN if writes else {}
        answer = await self.client.request(method, address, content=body, headers=headers, follow_redirects=not writes)
        if answer.status_code >= 500:
            self.surprises.append(f"{method} {address} {body!r:.300}: {answer.status_code} {answer.text:.200}")
        return answer


def variants(fields: Fields) -> Iterator[Fields]:
    """Yield the fields with one of them odd, left out or twice; the token against forgery stays, or nothing is read."""
    for at, (name, value) in enumerate(fields):
        if name == "csrf":
            continue
        before, after = fields[:at], fields[at + 1 :]
        yield [*before, *after]
        yield [*before, (name, value), (name, value or "x"), *after]
        for odd in ODD:
            yield [*before, (name, odd), *after]


@pytest.fixture
async def admin(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    staff = await desk.as_("aki")
    yield staff.client
    await staff.client.aclose()


@pytest.mark.timeout(300)
async def test_no_page_or_form_of_the_desk_answers_with_a_surprise(desk: Desk, admin: httpx.AsyncClient) -> None:
    explorer = Explorer(admin, "/desk")
    known = [filled(path) for method, path in routes_of(desk.live.app.routes) if method == "GET"]
    await explorer.explore(*(f"{admin.base_url}{path}" for path in (*known, desk.issue)))
    assert explorer.surprises == []
    assert any("/confirm" in form for form in explorer.sent), "the decision on the open review was tried"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("path", "purpose"), [("/s/", Purpose.STATUS), ("/r/", Purpose.REPORT), ("/v/", Purpose.SURVEY)]
)
async def test_no_page_or_form_of_a_customer_answers_with_a_surprise(desk: Desk, path: str, purpose: Purpose) -> None:
    issue_id, order_id = str(desk.case.ids["issue_id"]), str(desk.case.ids["order_id"])
    subject = (order_id, str(desk.case.ids["customer_id"]), "ja") if purpose is Purpose.REPORT else (issue_id,)
    token = SignedLinks([LINK_SECRETS]).token(purpose, datetime.now(UTC) + timedelta(days=1), *subject)
    async with desk.client() as customer:
        explorer = Explorer(customer, path)
        first = await customer.get(path + token)
        assert first.status_code in (200, 409), "the link is valid; a survey is asked for once the issue is resolved"
        await explorer.explore(f"{customer.base_url}{path}{token}")
    assert explorer.surprises == []
