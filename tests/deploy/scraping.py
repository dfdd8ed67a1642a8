"""Scrapes of a running service: samples of `/metrics` as Prometheus stores them."""

from collections.abc import Callable, Mapping

from prometheus_client.parser import text_string_to_metric_families

from tests.running import OPS, Live, eventually

Series = tuple[str, tuple[tuple[str, str], ...]]
Scrape = Mapping[Series, float]


def read_scrape(text: str, **target: str) -> Scrape:
    """Return the samples of an answer of `/metrics`; `target` are the labels that Prometheus adds, `job` among them."""
    return {
        (sample.name, tuple(sorted({**sample.labels, **target}.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(live: Live) -> Scrape:
    answer = await live.client.get("/metrics", headers=OPS)
    return read_scrape(answer.text, job=live.service.name, instance="one:8000")


async def scrape_until(live: Live, condition: Callable[[Scrape], bool], what: str) -> Scrape:
    """Scrape until the condition holds; return that scrape."""

    async def found() -> Scrape | None:
        scraped = await scrape(live)
        return scraped if condition(scraped) else None

    last = await eventually(found, what)
    assert last
    return last


async def at_rest(live: Live) -> Scrape:
    """Scrape a service that has read its database."""
    return await scrape_until(live, lambda seen: "sakidashi_outbox_depth" in names(seen), "the database is read")


def names(scraped: Scrape) -> set[str]:
    return {name for name, _ in scraped}


def value(scraped: Scrape, name: str, **labels: str) -> float:
    """Return the sum of all series of this name with these labels."""
    of_name = [(dict(found), number) for (series, found), number in scraped.items() if series == name]
    return sum(number for found, number in of_name if labels.items() <= found.items())
