"""Reads orders in the form of the bundled files (`data/README.md` describes them)."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from deploy.demo.data.csv_table import CsvRow, read_table
from deploy.demo.data.orders import OrderDataset, ReplayedCustomer, ReplayedLine, ReplayedOrder, ReplayedPart

FOLDER = Path(__file__).parent

PRODUCT_COLUMNS = ("sku", "name", "product_group", "unit_price")
PART_COLUMNS = ("sku", "part_sku", "name", "quantity")
CUSTOMER_COLUMNS = tuple(ReplayedCustomer.__dataclass_fields__)
ORDER_COLUMNS = ("order_id", "customer_id", "placed_at", "shipped_at", "delivered_at", "cancelled_at")
LINE_COLUMNS = ("order_id", "line_id", "sku", "quantity", "promised_ship_date", "preorder", "lot")
OPTIONAL_LINE_COLUMNS = ("warehouse",)
LANGUAGES = ("ja", "en")


def product_skus() -> list[str]:
    """The SKUs of the bundled products."""
    return [row["sku"] for row in read_table(FOLDER / "products.csv", PRODUCT_COLUMNS)]


def read(folder: Path = FOLDER) -> OrderDataset:
    """The orders as they stand in the files. Raises `OrderFileError`."""
    products = {row.text("sku"): row for row in read_table(folder / "products.csv", PRODUCT_COLUMNS)}
    customers = {
        row.text("customer_id"): _customer(row) for row in read_table(folder / "customers.csv", CUSTOMER_COLUMNS)
    }
    parts = _parts_of_kits(folder / "components.csv", products)
    order_rows = read_table(folder / "orders.csv", ORDER_COLUMNS)
    order_ids = {row.text("order_id") for row in order_rows}
    lines: defaultdict[str, list[ReplayedLine]] = defaultdict(list)
    for row in read_table(folder / "order_lines.csv", LINE_COLUMNS, OPTIONAL_LINE_COLUMNS):
        if row.text("order_id") not in order_ids:
            raise row.error("order_id", f"{row['order_id']!r} is not in orders.csv")
        if row.text("sku") not in products:
            raise row.error("sku", f"{row['sku']!r} is not in products.csv")
        lines[row["order_id"]].append(_line(row, products[row["sku"]], parts[row["sku"]]))
    purchases: Counter[str] = Counter()
    orders = []
    for row in order_rows:
        if row.text("customer_id") not in customers:
            raise row.error("customer_id", f"{row['customer_id']!r} is not in customers.csv")
        if row["order_id"] not in lines:
            raise row.error("order_id", f"{row['order_id']!r} has no line in order_lines.csv")
        purchases[row["customer_id"]] += 1
        customer = customers[row["customer_id"]]
        orders.append(_order(row, customer, tuple(lines[row["order_id"]]), purchases[row["customer_id"]]))
    return OrderDataset(sorted(orders, key=lambda order: order.placed_at), ZoneInfo("Asia/Tokyo"))


def _customer(row: CsvRow) -> ReplayedCustomer:
    if row["language"] not in LANGUAGES:
        raise row.error("language", f"{row['language']!r} is not one of {', '.join(LANGUAGES)}")
    return ReplayedCustomer(**row.cells)


def _parts_of_kits(path: Path, products: Mapping[str, CsvRow]) -> defaultdict[str, tuple[ReplayedPart, ...]]:
    """The parts of each kit by its SKU; the file may be missing where no kits are sold."""
    found: defaultdict[str, tuple[ReplayedPart, ...]] = defaultdict(tuple)
    for row in read_table(path, PART_COLUMNS) if path.exists() else ():
        if row.text("sku") not in products:
            raise row.error("sku", f"{row['sku']!r} is not in products.csv")
        part = ReplayedPart(row.text("part_sku"), row.text("name"), row.integer("quantity"))
        found[row["sku"]] = (*found[row["sku"]], part)
    return found


def _line(row: CsvRow, product: CsvRow, parts: tuple[ReplayedPart, ...]) -> ReplayedLine:
    return ReplayedLine(
        line_id=row.text("line_id"),
        sku=row["sku"],
        name=product.text("name"),
        product_group=product.text("product_group"),
        quantity=row.integer("quantity"),
        unit_price=product.price("unit_price"),
        currency="JPY",
        promised_ship_date=row.day("promised_ship_date"),
        preorder=row.integer("preorder", 0, 1) == 1,
        lot=row["lot"],
        parts=parts,
        warehouse=row["warehouse"] or None,
    )


def _order(row: CsvRow, customer: ReplayedCustomer, lines: tuple[ReplayedLine, ...], count: int) -> ReplayedOrder:
    return ReplayedOrder(
        order_id=row["order_id"],
        customer=customer,
        market="JP",
        placed_at=row.time("placed_at"),
        lines=lines,
        shipped_at=row.optional_time("shipped_at"),
        delivered_at=row.optional_time("delivered_at"),
        cancelled_at=row.optional_time("cancelled_at"),
        purchase_count=count,
    )
