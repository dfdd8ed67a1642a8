"""Malformed order files are refused with file, line, column and remedy; files of other exporters are accepted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.demo.data import bundled, olist
from deploy.demo.data.csv_table import OrderFileError
from deploy.demo.data.order_sources import load_orders
from tests.demo.test_orders import CUSTOMERS, ITEMS, ORDERS

TABLES = {"orders": ORDERS, "order_items": ITEMS, "customers": CUSTOMERS}


def write(folder: Path, tables: dict[str, str | bytes], name: str = "{}.csv") -> Path:
    for table, content in tables.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.format(table)).write_bytes(data)
    return folder


def changed(table: str, old: str, new: str) -> dict[str, str | bytes]:
    assert old in TABLES[table]
    return {**TABLES, table: TABLES[table].replace(old, new, 1)}


MALFORMED: dict[str, tuple[dict[str, str | bytes], str]] = {
    "empty file": ({**TABLES, "orders": ""}, r"orders\.csv: the file is empty; its first line must name the columns"),
    "header only": (
        {**TABLES, "orders": ORDERS.split("\n")[0] + "\n"},
        r"no order with items; add at least one",
    ),
    "not UTF-8": (
        {**TABLES, "customers": CUSTOMERS.replace("sao paulo", "são paulo").encode("latin-1")},
        r"customers\.csv line 3: not UTF-8; save the file in UTF-8",
    ),
    "missing column": (changed("order_items", ",price,", ",prize,"), r"order_items\.csv line 1, column price: missing"),
    "unknown column": (
        {**TABLES, "customers": "\n".join(f"{row},x" for row in CUSTOMERS.split("\n") if row)},
        r"customers\.csv line 1, column x: unknown; remove it; the columns are customer_id, ",
    ),
    "repeated column": (
        {**TABLES, "customers": "\n".join(f"{row},customer_id" for row in CUSTOMERS.split("\n") if row)},
        r"customers\.csv line 1, column customer_id: repeated",
    ),
    "missing cell": (changed("customers", "c2,person-2,", "c2,"), r"customers\.csv line 3: 4 cells instead of 5"),
    "open quote": (changed("customers", "c2,", '"c2,'), r"customers\.csv line 3: unexpected end of data"),
    "bad date": (
        changed("orders", "2018-03-27 18:00:43", "27/03/2018"),
        r"orders\.csv line 3, column order_purchase_timestamp: '27/03/2018' is not a time; write YYYY-MM-DD",
    ),
    "year out of range": (
        changed("orders", "2018-03-27 18:00:43", "0001-03-27 18:00:43"),
        r"orders\.csv line 3, column order_purchase_timestamp: 0001-03-27 is not a day from 2000 to 2099",
    ),
    "no purchase time": (
        changed("orders", "2018-03-27 18:00:43", ""),
        r"orders\.csv line 3, column order_purchase_timestamp: is empty; a value is required",
    ),
    "bad price": (
        changed("order_items", "12.99", "R$12"),
        r"order_items\.csv line 2, column price: 'R\$12' is not a price; write a number such as 12\.99",
    ),
    "negative price": (changed("order_items", "12.99", "-1"), r"order_items\.csv line 2, column price: '-1'"),
    "infinite price": (changed("order_items", "12.99", "1e999999999"), r"order_items\.csv line 2, column price"),
    "bad number": (
        changed("order_items", "o1,1,", "o1,one,"),
        r"order_items\.csv line 2, column order_item_id: 'one' is not a whole number from 1 to 10000",
    ),
    "unknown customer": (
        changed("orders", "o1,c1", "o1,c9"),
        r"orders\.csv line 3, column customer_id: 'c9' is not in customers\.csv",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_olist_file_is_refused_with_its_place_and_the_remedy(case: str, tmp_path: Path) -> None:
    tables, message = MALFORMED[case]
    with pytest.raises(OrderFileError, match=message) as error:
        load_orders(write(tmp_path, tables), seed=1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_olist_file_is_named(table: str, tmp_path: Path) -> None:
    folder = write(tmp_path, {name: text for name, text in TABLES.items() if name != table})
    expected = rf"{table}\.csv" if table != "order_items" else "order_items"
    with pytest.raises(OrderFileError, match=expected):
        load_orders(folder, seed=1)


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    tables: dict[str, str | bytes] = {
        name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() for name, text in TABLES.items()
    }
    assert len(load_orders(write(tmp_path, tables), seed=1).orders) == 3


def test_the_published_file_names_of_olist_are_read(tmp_path: Path) -> None:
    short, published = tmp_path / "short", tmp_path / "published"
    for folder, name in ((short, "{}.csv"), (published, "olist_{}_dataset.csv")):
        folder.mkdir()
        write(folder, dict(TABLES), name)
    assert olist.is_olist(published)
    assert load_orders(published, seed=1) == load_orders(short, seed=1)


def test_a_line_number_counts_quoted_line_breaks(tmp_path: Path) -> None:
    tables = changed("customers", "sao bernardo do campo", '"sao\nbernardo"')
    tables["customers"] = str(tables["customers"]).replace("c2,person-2,", "c2,")
    with pytest.raises(OrderFileError, match=r"customers\.csv line 4: 4 cells"):
        load_orders(write(tmp_path, tables), seed=1)


def copy_bundled(folder: Path, file: str, change: Callable[[str], str]) -> Path:
    for path in bundled.FOLDER.glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        (folder / path.name).write_text(change(text) if path.name == file else text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("customers.csv", ",ja,", ",de,", r"customers\.csv line \d+, column language: 'de' is not one of ja, en"),
        ("orders.csv", "+09:00", "", r"orders\.csv line 2, column placed_at: '.*' has no time zone"),
        ("order_lines.csv", "S37301,L1,", "S1,L1,", r"order_lines\.csv line 2, column order_id: 'S1' is not in orders"),
        ("components.csv", "CUP-12,", "CUP-99,", r"components\.csv line 2, column sku: 'CUP-99' is not in products"),
        ("products.csv", "12800", "many", r"products\.csv line 2, column unit_price: 'many' is not a price"),
    ],
)
def test_a_malformed_file_of_the_bundled_form_is_refused(
    file: str, old: str, new: str, message: str, tmp_path: Path
) -> None:
    folder = copy_bundled(tmp_path, file, lambda text: text.replace(old, new, 1))
    with pytest.raises(OrderFileError, match=message):
        load_orders(folder, seed=1)


def test_a_shop_without_kits_needs_no_file_of_components(tmp_path: Path) -> None:
    folder = copy_bundled(tmp_path, "orders.csv", lambda text: text)
    (folder / "components.csv").unlink()
    assert not any(line.parts for order in load_orders(folder, seed=1).orders for line in order.lines)
