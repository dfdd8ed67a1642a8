"""HTTP calls to intake by a storefront."""

from itertools import count
from typing import Any

import httpx

from tests.intake.event_builders import CUSTOMER, ORDER
from tests.running import STOREFRONT, Live

_numbers = count(1)


def body(quantity: int = 1, line_id: str = "1", **fields: Any) -> dict[str, Any]:
    """Return a report as JSON without the fields given as None."""
    report = {
        "order_id": ORDER,
        "customer_id": CUSTOMER,
        "reason": "defective",
        "lines": [{"line_id": line_id, "quantity": quantity}],
        **fields,
    }
    return {name: value for name, value in report.items() if value is not None}


async def report(live: Live, content: dict[str, Any] | None = None, *, key: str | None = None) -> httpx.Response:
    """Post a report under a new idempotency key, unless one is given."""
    headers = {**STOREFRONT, "Idempotency-Key": key or f"key-{next(_numbers)}"}
    return await live.client.post("/v1/issues", json=content or body(), headers=headers)


async def reported(live: Live) -> str:
    """Post a report and return the address of its issue."""
    return str((await report(live)).headers["Location"])
