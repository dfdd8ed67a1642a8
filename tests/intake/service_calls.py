"""HTTP calls to intake, as a storefront makes them."""

from itertools import count
from typing import Any

import httpx

from tests.intake.reports import CUSTOMER, ORDER
from tests.running import STOREFRONT, Live

_numbers = count(1)


def body(quantity: int = 1, line_id: str = "1", **fields: Any) -> dict[str, Any]:
    """A report as JSON; a field given as None is left out."""
    report = {
        "order_id": ORDER,
        "customer_id": CUSTOMER,
        "reason": "defective",
        "lines": [{"line_id": line_id, "quantity": quantity}],
        **fields,
    }
    return {name: value for name, value in report.items() if value is not None}


async def report(live: Live, said: dict[str, Any] | None = None, *, key: str | None = None) -> httpx.Response:
    """Post a report under a key of its own, unless one is given."""
    headers = {**STOREFRONT, "Idempotency-Key": key or f"key-{next(_numbers)}"}
    return await live.client.post("/v1/issues", json=said or body(), headers=headers)


async def reported(live: Live) -> str:
    """The address of a new issue."""
    return str((await report(live)).headers["Location"])
