"""Open work at the end of a run, with a link to each kind: the demo stops in the middle of the story."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer

from deploy.demo.partners.page_forms import Form, answers_on, forms_of
from deploy.demo.system import DemoSystem, Infrastructure
from libs.common.decisions.ids import derived_id
from libs.common.events.topics import WAREHOUSE_EVENTS
from libs.common.http.signed_links import Purpose, SignedLinks

Link = tuple[str, str]

LINK_LIFETIME = timedelta(days=400)
"""By the clock of the shop, which passes weeks within seconds."""

_OPEN_ISSUES = "SELECT issue_id, status FROM issues WHERE is_open ORDER BY reported_at DESC"
_NEWEST_ISSUE = "SELECT issue_id FROM issues ORDER BY is_open DESC, reported_at DESC LIMIT 1"
_WORK = "SELECT DISTINCT ON (kind) kind, issue_id FROM work_queue ORDER BY kind, due_at"
_SILENT_WAREHOUSE = """
    SELECT i.issue_id, i.order_id, t.data ->> 'choice_id' AS choice_id
    FROM timeline t JOIN issues i USING (issue_id)
    WHERE i.is_open AND t.type = 'issue.choice_requested.v1' AND t.data ->> 'cause' = 'not_shipping'
    ORDER BY t.at DESC LIMIT 1"""
_CLUSTERS = "SELECT count(*) FROM clusters"
_DEAD_LETTERS = "SELECT id FROM dead_letters WHERE state = 'open' ORDER BY id LIMIT 1"
_WORK_TITLES = {
    "review": "a review that waits for a decision",
    "unhappy": "a customer who gave a low score",
    "unreached": "a customer who could not be reached",
    "progress": "a replacement that is being sent",
    "details": "a report that lacks a detail",
    "message": "a mail of a customer to answer",
}
_CHOICE_LINK = re.compile(r"https?://[^\s<>\"']+/c/[^\s<>\"']+")
_WAIT_SECONDS = 15.0


def status_link(system: DemoSystem, issue_id: Any, now: datetime) -> str:
    """The status page that the customer of this issue sees."""
    token = SignedLinks([system.link_secret]).token(Purpose.STATUS, now + LINK_LIFETIME, str(issue_id))
    return f"{system.service_url('intake')}/s/{token}"


def choice_link(system: DemoSystem, order_id: str, choice_id: str, now: datetime) -> str:
    """The page on which the customer of this order answers this question."""
    token = SignedLinks([system.link_secret]).token(Purpose.CHOICE, now + LINK_LIFETIME, order_id, choice_id)
    return f"{system.service_url('delivery_notify')}/c/{token}"


async def newest_status_link(system: DemoSystem, now: datetime) -> str | None:
    """The status page of the newest open issue, else of the newest issue."""
    conn = await asyncpg.connect(system.databases["intake"])
    try:
        issue_id = await conn.fetchval(_NEWEST_ISSUE)
    finally:
        await conn.close()
    return status_link(system, issue_id, now) if issue_id else None


async def send_broken_event(infrastructure: Infrastructure, system: DemoSystem, now: datetime) -> None:
    """Publish an event of a warehouse with a fault in its software, and wait until it is a dead letter."""
    event = {"specversion": "1.0", "id": f"broken-{now.timestamp()}", "source": "/demo/warehouse"}
    event |= {"type": "replacement.teleported.v1", "time": now.isoformat(), "data": "none"}
    producer = AIOKafkaProducer(bootstrap_servers=infrastructure.broker.bootstrap_servers, acks="all")
    await producer.start()
    try:
        topic = infrastructure.topic_prefix + WAREHOUSE_EVENTS.name
        await producer.send_and_wait(topic, json.dumps(event).encode(), key=b"no-issue")
    finally:
        await producer.stop()
    conn = await asyncpg.connect(system.databases["returns"])
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            while await conn.fetchval(_DEAD_LETTERS) is None:
                await asyncio.sleep(0.05)
    finally:
        await conn.close()


async def find_open_work(system: DemoSystem, now: datetime) -> list[Link]:
    """A title and a link for each kind of open work; pages are opened to see that they offer what the title says."""
    desk = system.service_url("intake") + "/desk"
    intake, returns = [await asyncpg.connect(system.databases[name]) for name in ("intake", "returns")]
    try:
        issues = await intake.fetch(_OPEN_ISSUES)
        found = [
            (_WORK_TITLES[row["kind"]], f"{desk}/issues/{row['issue_id']}")
            for row in await intake.fetch(_WORK)
            if row["kind"] in _WORK_TITLES
        ]
        found.append(("first dates kept, delays to expect, and warnings of them", f"{desk}/insights#i-promises"))
        if await intake.fetchval(_CLUSTERS):
            found.append(("a cluster of reports about one lot", f"{desk}/insights"))
        if dead_letter := await returns.fetchval(_DEAD_LETTERS):
            found.append(("an event that could not be applied", f"{desk}/dead-letters/returns/{dead_letter}"))
        silent = await intake.fetchrow(_SILENT_WAREHOUSE)
    finally:
        await intake.close()
        await returns.close()
    if silent:
        found.append(("a warehouse that is silent about a replacement", f"{desk}/issues/{silent['issue_id']}"))
        found.append(("the choice of its customer", choice_link(system, silent["order_id"], silent["choice_id"], now)))
    pages = [status_link(system, row["issue_id"], now) for row in issues]
    async with httpx.AsyncClient(timeout=30) as http:
        found += [each async for each in _customer_pages(http, system, pages)]
    return found


async def _customer_pages(http: httpx.AsyncClient, system: DemoSystem, pages: Iterable[str]) -> AsyncIterator[Link]:
    """The first page of a customer with a choice, with collection windows, and with a missing photo."""
    mails = (await http.get(f"{system.mail_url}/api/mails?last=200")).json()
    for mail in reversed(mails):
        link = _CHOICE_LINK.search(mail["text"])
        if link and answers_on((await http.get(link[0])).text):
            yield "a choice that a customer has", link[0]
            break
    wanted = {"a collection window to pick": _offers_windows, "a photo that a customer has to add": _wants_photo}
    for page in pages:
        forms = forms_of((await http.get(page)).text)
        for title in [title for title, offers in wanted.items() if any(map(offers, forms))]:
            del wanted[title]
            yield title, page
        if not wanted:
            return


def _offers_windows(form: Form) -> bool:
    return bool(form.lists.get("window"))


def _wants_photo(form: Form) -> bool:
    return bool(form.files)


def trace_link(system: DemoSystem, ledger: Iterable[dict[str, Any]]) -> str | None:
    """The trace of the first accepted report; the storefront derives its number from the report's key."""
    key = next((entry["key"] for entry in ledger if entry.get("status") == 202), None)
    return f"{system.traces_url}/trace/{derived_id('trace', key).hex}" if key else None
