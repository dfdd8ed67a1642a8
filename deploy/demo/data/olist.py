"""Reads a folder with the public Brazilian e-commerce data set by Olist, or files of the same form.

The files are `olist_orders_dataset.csv`, `olist_order_items_dataset.csv` (a row per unit) and
`olist_customers_dataset.csv`, or `orders.csv`, `order_items.csv` and `customers.csv`; times are local to Brazil and
carry no zone. The day of `shipping_limit_date` is the promised ship date and its hour the last pickup; of an order with
several limits the latest counts, since such an order was handed over once. `order_estimated_delivery_date` is the
promised delivery date. The files name no people and no streets, so those are invented. They hold no preorders either:
by the seed, some orders are dated back by weeks.
"""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from deploy.demo.data.csv_table import CsvRow, OrderFileError, read_table
from deploy.demo.data.orders import OrderDataset, ReplayedCustomer, ReplayedLine, ReplayedOrder

ZONE = ZoneInfo("America/Sao_Paulo")
PREORDER_SHARE = 0.02
MAX_PREORDER_DAYS = 60
PRODUCT_GROUPS = 12

FILES: Mapping[str, tuple[str, ...]] = {
    "orders": ("olist_orders_dataset.csv", "orders.csv"),
    "order_items": ("olist_order_items_dataset.csv", "order_items.csv"),
    "customers": ("olist_customers_dataset.csv", "customers.csv"),
}
"""The names of each table: as published, and short."""

ORDER_COLUMNS = (
    "order_id",
    "customer_id",
    "order_status",
    "order_purchase_timestamp",
    "order_delivered_carrier_date",
    "order_delivered_customer_date",
    "order_estimated_delivery_date",
)
ITEM_COLUMNS = ("order_id", "order_item_id", "product_id", "shipping_limit_date", "price")
CUSTOMER_COLUMNS = (
    "customer_id",
    "customer_unique_id",
    "customer_zip_code_prefix",
    "customer_city",
    "customer_state",
)


def is_olist(folder: Path) -> bool:
    return any((folder / name).exists() for name in FILES["order_items"])


def read(folder: Path, seed: int = 1) -> OrderDataset:
    """The orders by their purchase time; orders without items (cancelled before packing) are left out.

    Raises `OrderFileError`.
    """
    customers = {row.text("customer_id"): row for row in read_table(_file(folder, "customers"), CUSTOMER_COLUMNS)}
    items: defaultdict[str, list[CsvRow]] = defaultdict(list)
    for row in read_table(_file(folder, "order_items"), ITEM_COLUMNS, ("seller_id", "freight_value")):
        items[row.text("order_id")].append(row)
    orders = []
    for row in read_table(_file(folder, "orders"), ORDER_COLUMNS, ("order_approved_at",)):
        if row.text("order_id") in items:
            if row.text("customer_id") not in customers:
                raise row.error("customer_id", f"{row['customer_id']!r} is not in {_file(folder, 'customers').name}")
            orders.append(_order(row, items[row["order_id"]], customers[row["customer_id"]], seed))
    orders.sort(key=lambda order: order.placed_at)
    return OrderDataset(_with_purchase_counts(orders), ZONE)


def _file(folder: Path, table: str) -> Path:
    paths = [folder / name for name in FILES[table]]
    for path in paths:
        if path.exists():
            return path
    raise OrderFileError(f"{folder}: {' or '.join(FILES[table])} is missing; add the file")


def _order(row: CsvRow, items: Sequence[CsvRow], customer: CsvRow, seed: int) -> ReplayedOrder:
    placed = row.time("order_purchase_timestamp", ZONE)
    shipped = row.optional_time("order_delivered_carrier_date", ZONE)
    rng = random.Random(f"{seed}:preorder:{row['order_id']}")
    preorder = shipped is not None and rng.random() < PREORDER_SHARE
    if preorder:
        placed -= timedelta(days=rng.randint(20, MAX_PREORDER_DAYS))
    cancelled = shipped is None and row["order_status"] in ("canceled", "unavailable")
    delivered = row.optional_time("order_delivered_customer_date", ZONE)
    estimate = row.optional_time("order_estimated_delivery_date", ZONE)
    return ReplayedOrder(
        order_id=row["order_id"],
        customer=_customer(customer),
        market="BR",
        placed_at=placed,
        lines=tuple(_lines(items, placed, preorder, estimate)),
        shipped_at=max(shipped, placed + timedelta(minutes=30)) if shipped else None,
        delivered_at=max(delivered, shipped + timedelta(hours=1)) if shipped and delivered else None,
        cancelled_at=placed + timedelta(days=1) if cancelled else None,
    )


def _lines(
    items: Sequence[CsvRow], placed: datetime, preorder: bool, estimate: datetime | None
) -> Iterable[ReplayedLine]:
    """Merge equal units next to each other into one line with a quantity."""
    limit = max(placed, *(row.optional_time("shipping_limit_date", ZONE) or placed for row in items))
    ordered = sorted(items, key=lambda row: row.integer("order_item_id"))
    for (product, price), units in groupby(ordered, key=lambda row: (row.text("product_id"), row.price("price"))):
        same = list(units)
        yield ReplayedLine(
            line_id=same[0]["order_item_id"],
            sku=product,
            name=f"Product {product[:8]}",
            product_group=f"group-{_number_of(product) % PRODUCT_GROUPS}",
            quantity=len(same),
            unit_price=price,
            currency="BRL",
            promised_ship_date=limit.date(),
            preorder=preorder,
            ship_by=limit,
            promised_delivery_date=estimate.date() if estimate else None,
        )


def _customer(row: CsvRow) -> ReplayedCustomer:
    customer_id = row.text("customer_unique_id")
    number = _number_of(customer_id)
    return ReplayedCustomer(
        customer_id=customer_id,
        name=f"Cliente Exemplo {customer_id[:10]}",
        email=f"{customer_id[:16]}@example.com",
        language="en",
        postal_code=row.text("customer_zip_code_prefix").zfill(5),
        country="BR",
        region=row.text("customer_state"),
        city=row.text("customer_city"),
        street=f"Rua Imaginada {number % 9000 + 1}",
        phone=f"+55 00 0000-{number % 10000:04}",
    )


def _number_of(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def _with_purchase_counts(orders: Sequence[ReplayedOrder]) -> list[ReplayedOrder]:
    purchases: Counter[str] = Counter()
    counted = []
    for order in orders:
        purchases[order.customer.customer_id] += 1
        counted.append(replace(order, purchase_count=purchases[order.customer.customer_id]))
    return counted
