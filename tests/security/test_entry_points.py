"""`GET /` of every service: HTML for browsers, JSON for other clients, and links that exist."""

import pytest
from fastapi import FastAPI

from libs.common.events.topics import ALL_SERVICES
from tests.security.apps import apps, client_of


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FastAPI]:
    return apps(tmp_path_factory.mktemp("evidence"))


@pytest.mark.parametrize("service", ALL_SERVICES)
async def test_the_entry_point_names_the_service_and_links_to_its_documentation(
    service: str, services: dict[str, FastAPI]
) -> None:
    async with client_of(services[service]) as client:
        entry = (await client.get("/")).json()
        assert entry["service"] == f"Sakidashi {service}"
        assert ("desk" in entry["links"]) is (service == "intake")
        for name in ("api docs", "openapi"):
            assert (await client.get(entry["links"][name])).status_code == 200, name
        page = await client.get("/", headers={"Accept": "text/html,application/xhtml+xml"})
        assert page.headers["content-type"].startswith("text/html")
        assert all(f'href="{address}"' in page.text for address in entry["links"].values())


async def test_api_docs_name_no_other_host(services: dict[str, FastAPI]) -> None:
    async with client_of(services["intake"]) as client:
        page = (await client.get("/docs")).text
        assert ("http://" in page, "https://" in page) == (False, False)
        script = page.partition('<script src="')[2].partition('"')[0]
        answer = await client.get(script)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
