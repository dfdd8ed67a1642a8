"""Every writing route of every service refuses callers without key, signature, link or session.

Routes are discovered, not listed. The tests of services and desk cover what each key and role may do.
"""

from collections.abc import Iterable, Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route

from libs.common.events.topics import ALL_SERVICES
from tests.security.apps import apps, client_of

READING = {"GET", "HEAD", "OPTIONS"}
FOR_ANYBODY = {("intake", "POST /desk/sign-in"), ("intake", "POST /find")}
"""Sign-in and the order lookup, limited by the number of attempts."""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FastAPI]:
    return apps(tmp_path_factory.mktemp("evidence"))


def routes_of(found: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route, included routers as well."""
    for route in found:
        if isinstance(route, Route | APIRoute):
            yield from ((method, route.path) for method in sorted(route.methods or ()))
        else:
            included = getattr(route, "original_router", None)
            assert isinstance(included, APIRouter), f"{route!r}: neither a route nor a router; is it locked?"
            yield from routes_of(included.routes)


def filled(path: str) -> str:
    """Return the path with a plausible value for each parameter."""
    while "{" in path:
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        value = "6c1e9d3e-6ae4-4a53-b6c2-8f8f8d3d2a11" if name.endswith("issue_id") else "1"
        path = before + value + after
    return path


async def open_routes(service: str, app: FastAPI) -> list[str]:
    """Return the writing routes that do not refuse an anonymous caller, with their answers."""
    found = []
    async with client_of(app) as stranger:
        for method, path in routes_of(app.routes):
            if method in READING or (service, f"{method} {path}") in FOR_ANYBODY:
                continue
            answer = await stranger.request(method, filled(path), headers={"Idempotency-Key": "of a stranger"})
            at_the_door = answer.status_code == 303 and answer.headers["location"].startswith("/desk/sign-in")
            no_such_link = answer.status_code == 404 and "{token}" in path
            if not (answer.status_code == 401 or at_the_door or no_such_link):
                found.append(f"{service}: {method} {path}: {answer.status_code} {answer.text:.100}")
    return found


@pytest.mark.parametrize("service", ALL_SERVICES)
async def test_no_stranger_writes(service: str, services: dict[str, FastAPI]) -> None:
    assert await open_routes(service, services[service]) == []


def test_there_are_writing_routes_in_every_service(services: dict[str, FastAPI]) -> None:
    writing = {name: sum(m not in READING for m, _ in routes_of(app.routes)) for name, app in services.items()}
    assert min(writing.values()) >= 5, writing


async def test_a_route_without_a_lock_would_be_found() -> None:
    app, router = FastAPI(), APIRouter()

    @router.delete("/v1/everything/{name}")
    async def forget(name: str) -> str:
        return name

    app.include_router(router)
    assert await open_routes("loyalty", app) == ['loyalty: DELETE /v1/everything/{name}: 200 "1"']


@pytest.mark.parametrize("service", ALL_SERVICES)
async def test_no_stranger_reads_what_belongs_to_somebody(service: str, services: dict[str, FastAPI]) -> None:
    """Under /v1 and /ops reading needs a key as well; pages have tests of their own."""
    async with client_of(services[service]) as stranger:
        for method, path in routes_of(services[service].routes):
            if method == "GET" and path.startswith(("/v1/", "/ops/")):
                assert (await stranger.get(filled(path))).status_code == 401, f"{service}: {path}"


async def test_a_key_is_known_wherever_it_stands_in_the_list_and_only_whole(services: dict[str, FastAPI]) -> None:
    async with client_of(services["loyalty"]) as client:
        for key in ("", "ops-key-for-tests-onl", "ops-key-for-tests-only ", "ops-key-for-tests-onlyX", "日本".encode()):
            value = b"Bearer " + (key if isinstance(key, bytes) else key.encode())
            answer = await client.get("/ops/counters", headers={b"Authorization": value})
            expected = 200 if key == "ops-key-for-tests-only " else 401  # blanks around a header are no part of it
            assert answer.status_code == expected, key
