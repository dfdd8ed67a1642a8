"""Customers of a fault run: they answer questions by the page that the link in a mail opens, or take a report back.

Every call is repeated until it is answered; a question that was decided meanwhile has no form any more, which is right.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import httpx
from PIL import Image

from deploy.demo.partners.customers import fill_form
from deploy.demo.partners.page_forms import answers_on
from libs.common.events.storefront import IssueWithdrawn
from libs.common.http.signed_links import Purpose, SignedLinks
from tests.faults.replica import Replica

ANSWER_SHARE = 0.7
ITEMS = ["SKU-1", "SKU-2"]
"""Items for which customers exchange what is late."""

READABLE_FOR = timedelta(days=90)
PAUSE, MAX_ATTEMPTS = 0.5, 60


def choice_path(choice: Mapping[str, Any], secret: str) -> str:
    """The page of a question about an issue."""
    until = datetime.fromisoformat(choice["due_at"]) + READABLE_FOR
    subject = (choice["order_id"], str(choice["choice_id"]).replace("-", ""))
    return f"/c/{SignedLinks([secret]).token(Purpose.CHOICE, until, *subject)}"


async def answer_choice(replicas: Callable[[], list[Replica]], path: str, rng: random.Random) -> str:
    """Open the page and submit one of its answers. Returns it; empty if there was nothing to answer any more."""
    async with httpx.AsyncClient(timeout=20) as http:
        page = await _until_answered(http, replicas, "GET", path)
        possible = answers_on(page.text) if page else []
        if page is None or page.status_code != 200 or not possible:
            return ""
        fields = fill_form(rng.choice(possible)[1], rng, ITEMS)
        answer = await _until_answered(http, replicas, "POST", path, fields)
        return fields.get("choice", "") if answer and answer.status_code == 303 else ""


async def _until_answered(
    http: httpx.AsyncClient,
    replicas: Callable[[], list[Replica]],
    method: str,
    path: str,
    fields: Mapping[str, str] | None = None,
) -> httpx.Response | None:
    """The answer of any replica; a page that is not there yet belongs to a question whose notice comes later."""
    answer = None
    for _ in range(MAX_ATTEMPTS):
        for replica in replicas():
            try:
                answer = await http.request(method, replica.url + path, data=fields)
            except httpx.HTTPError:
                continue
            if answer.status_code in (200, 303, 422):
                return answer
        await asyncio.sleep(PAUSE)
    return answer


def photo_of(number: int) -> bytes:
    """A small JPEG whose content is another for each number."""
    picture = Image.new("RGB", (64, 64), (number % 256, number // 256 % 256, 90))
    content = BytesIO()
    picture.save(content, "JPEG")
    return content.getvalue()


def withdrawal(order_id: str, customer_id: str, issue_id: str, now: datetime) -> IssueWithdrawn:
    return IssueWithdrawn.model_validate(
        {"order_id": order_id, "customer_id": customer_id, "issue_id": issue_id, "withdrawn_at": now}
    )
