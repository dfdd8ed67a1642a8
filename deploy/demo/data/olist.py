"""Reads a folder of the form of the public Brazilian e-commerce data set by Olist.

`orders.csv`, `order_items.csv` (a row per unit) and `customers.csv`, times local to Brazil without a zone. The day of
`shipping_limit_date` is the promised ship date here, and its hour the last pickup; of an order with several the last
counts, for it was handed over once. `order_estimated_delivery_date` is the promised day at the door. The files name no
people and no streets, so those are invented; preorders are not in them either: from the seed, some orders are taken to
have been placed weeks earlier.
"""

import csv
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from deploy.demo.data.bundled import Row, rows
from deploy.demo.data.orders import OrderDataset, ReplayedCustomer, ReplayedLine, ReplayedOrder

ZONE = ZoneInfo("America/Sao_Paulo")
PREORDER_SHARE = 0.02
LONGEST_WAIT_DAYS = 60


class OlistError(ValueError):
    """The folder is not of the form of the Olist data set; the message names the file or the order."""


_WRONG = (KeyError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError, csv.Error)
"""What a missing column, a cut row, a word for a number and a day that there is not come out as."""


def is_olist(folder: Path) -> bool:
    return (folder / "order_items.csv").exists()


def read(folder: Path, seed: int = 1) -> OrderDataset:
    """The orders in the order of their placing. Orders without items (cancelled before packing) are left out.

    Raises `OlistError`.
    """
    people = {row["customer_id"]: row for row in _rows(folder / "customers.csv", "customer_id")}
    items: defaultdict[str, list[Row]] = defaultdict(list)
    for row in _rows(folder / "order_items.csv", "order_id"):
        items[row["order_id"]].append(row)
    orders = []
    for row in _rows(folder / "orders.csv", "order_id"):
        try:
            if row["order_id"] in items:
                orders.append(_order(row, items[row["order_id"]], people[row["customer_id"]], seed))
        except _WRONG as error:
            raise OlistError(f"order {row['order_id']}: {type(error).__name__}: {error}; mend its rows") from error
    orders.sort(key=lambda order: order.placed_at)
    return OrderDataset(_counted(orders), ZONE)


def _rows(file: Path, key: str) -> list[Row]:
    try:
        found = rows(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OlistError(f"{file.name}: {error}; write it as CSV in UTF-8") from error
    if any(row.get(key) is None for row in found):
        raise OlistError(f"{file.name}: a row without {key}; the columns are those of the public data set")
    return found


def _order(row: Row, items: Sequence[Row], person: Row, seed: int) -> ReplayedOrder:
    placed = _moment(row["order_purchase_timestamp"])
    assert placed is not None, "an order has a moment of purchase"
    shipped = _moment(row["order_delivered_carrier_date"])
    rng = random.Random(f"{seed}:preorder:{row['order_id']}")
    preorder = shipped is not None and rng.random() < PREORDER_SHARE
    if preorder:
        placed -= timedelta(days=rng.randint(20, LONGEST_WAIT_DAYS))
    stopped = shipped is None and row["order_status"] in ("canceled", "unavailable")
    delivered = _moment(row["order_delivered_customer_date"])
    return ReplayedOrder(
        order_id=row["order_id"],
        customer=_customer(person),
        market="BR",
        placed_at=placed,
        lines=tuple(_lines(items, placed, preorder, _moment(row["order_estimated_delivery_date"]))),
        shipped_at=max(shipped, placed + timedelta(minutes=30)) if shipped else None,
        delivered_at=max(delivered, shipped + timedelta(hours=1)) if shipped and delivered else None,
        cancelled_at=placed + timedelta(days=1) if stopped else None,
    )


def _lines(items: Sequence[Row], placed: datetime, preorder: bool, estimate: datetime | None) -> Iterable[ReplayedLine]:
    """Equal units next to each other become one line with their number."""
    limit = max(_moment(row["shipping_limit_date"]) or placed for row in items)
    limit = max(limit, placed)
    ordered = sorted(items, key=lambda row: int(row["order_item_id"]))
    for (product, price), units in groupby(ordered, key=lambda row: (row["product_id"], row["price"])):
        same = list(units)
        yield ReplayedLine(
            line_id=same[0]["order_item_id"],
            sku=product,
            name=f"Product {product[:8]}",
            product_group=f"group-{int(product[:4], 36) % 12}",
            quantity=len(same),
            unit_price=Decimal(price),
            currency="BRL",
            promised_ship_date=limit.date(),
            preorder=preorder,
            ship_by=limit,
            promised_delivery_date=estimate.date() if estimate else None,
        )


def _customer(row: Row) -> ReplayedCustomer:
    person = row["customer_unique_id"]
    number = int(hashlib.sha256(person.encode()).hexdigest()[:8], 16)
    return ReplayedCustomer(
        customer_id=person,
        name=f"Cliente Exemplo {person[:10]}",
        email=f"{person[:16]}@example.com",
        language="en",
        postal_code=row["customer_zip_code_prefix"].zfill(5),
        country="BR",
        region=row["customer_state"],
        city=row["customer_city"],
        street=f"Rua Imaginada {number % 9000 + 1}",
        phone=f"+55 00 0000-{number % 10000:04}",
    )


def _counted(orders: Sequence[ReplayedOrder]) -> list[ReplayedOrder]:
    bought: Counter[str] = Counter()
    counted = []
    for order in orders:
        bought[order.customer.customer_id] += 1
        counted.append(replace(order, purchase_count=bought[order.customer.customer_id]))
    return counted


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE) if text else None
