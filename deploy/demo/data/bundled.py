"""Reads the bundled orders (`data/README.md` says what is in which file)."""

import csv
from collections import Counter, defaultdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from deploy.demo.data.orders import OrderDataset, ReplayedCustomer, ReplayedLine, ReplayedOrder

FOLDER = Path(__file__).parent

Row = dict[str, str]


def read(folder: Path = FOLDER) -> OrderDataset:
    products = {row["sku"]: row for row in rows(folder / "products.csv")}
    customers = {row["customer_id"]: ReplayedCustomer(**row) for row in rows(folder / "customers.csv")}
    lines: defaultdict[str, list[ReplayedLine]] = defaultdict(list)
    for row in rows(folder / "order_lines.csv"):
        lines[row["order_id"]].append(_line(row, products[row["sku"]]))
    bought: Counter[str] = Counter()
    orders = []
    for row in rows(folder / "orders.csv"):
        bought[row["customer_id"]] += 1
        count = bought[row["customer_id"]]
        orders.append(_order(row, customers[row["customer_id"]], tuple(lines[row["order_id"]]), count))
    return OrderDataset(orders, ZoneInfo("Asia/Tokyo"))


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _line(row: Row, product: Row) -> ReplayedLine:
    return ReplayedLine(
        line_id=row["line_id"],
        sku=row["sku"],
        name=product["name"],
        product_group=product["product_group"],
        quantity=int(row["quantity"]),
        unit_price=Decimal(product["unit_price"]),
        currency="JPY",
        promised_ship_date=date.fromisoformat(row["promised_ship_date"]),
        preorder=row["preorder"] == "1",
        lot=row["lot"],
    )


def _order(row: Row, customer: ReplayedCustomer, lines: tuple[ReplayedLine, ...], count: int) -> ReplayedOrder:
    return ReplayedOrder(
        order_id=row["order_id"],
        customer=customer,
        market="JP",
        placed_at=datetime.fromisoformat(row["placed_at"]),
        lines=lines,
        shipped_at=_moment(row["shipped_at"]),
        delivered_at=_moment(row["delivered_at"]),
        cancelled_at=_moment(row["cancelled_at"]),
        purchase_count=count,
    )


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
