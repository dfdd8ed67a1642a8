"""The readers of orders, and the generator of the bundled ones."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from deploy.demo.data import bundled, generate, olist, order_sources
from deploy.demo.data.csv_table import OrderFileError
from deploy.demo.partners import report_scenarios
from deploy.demo.partners.order_changes import replace_held_lots
from libs.common.events.storefront import OrderShipped
from libs.common.events.values import Reason, ShippedLine

NOW = datetime(2026, 3, 1, tzinfo=UTC)

ORDERS = """order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,order_delivered_carrier_date,\
order_delivered_customer_date,order_estimated_delivery_date
o2,c2,canceled,2018-03-29 10:00:00,2018-03-29 10:05:00,,,2018-04-20 00:00:00
o1,c1,delivered,2018-03-27 18:00:43,2018-03-29 03:28:47,2018-03-29 21:48:48,2018-04-06 02:32:49,2018-04-18 00:00:00
o3,c1,delivered,2018-03-30 10:00:00,,2018-03-31 10:00:00,2018-04-02 10:00:00,2018-04-20 00:00:00
o4,c2,canceled,2018-03-30 10:00:00,,,,2018-04-20 00:00:00
"""
ITEMS = """order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value
o1,1,7634da15,s,2018-04-02 23:30:00,12.99,1
o1,2,7634da15,s,2018-04-02 23:30:00,12.99,1
o1,3,abcdef01,s,2018-04-03 10:00:00,5.00,1
o2,1,7634da15,s,2018-04-02 10:00:00,12.99,1
o3,1,7634da15,s,2018-04-02 10:00:00,12.99,1
"""
CUSTOMERS = """customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state
c1,person-1,9790,sao bernardo do campo,SP
c2,person-2,1151,sao paulo,SP
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("orders", ORDERS), ("order_items", ITEMS), ("customers", CUSTOMERS)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_bundled_orders_are_what_the_generator_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "HERE", tmp_path)
    generate.main()
    generated = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.glob("*.csv")}
    assert generated == {name: (bundled.FOLDER / name).read_text(encoding="utf-8") for name in generated}


def test_the_bundled_orders_hold_one_bad_lot_that_many_report() -> None:
    dataset = bundled.read()
    bought = {
        order.order_id for order in dataset.orders for line in order.lines if line.lot in report_scenarios.BAD_LOTS
    }
    reported = {
        report.order_id
        for report in report_scenarios.reports(dataset.orders, 1, 0.25)
        if report.reason is Reason.DEFECTIVE
    }
    assert 10 <= len(bought) <= 14
    assert len(bought & reported) >= 8


def test_a_held_lot_is_not_shipped() -> None:
    line = ShippedLine(line_id="1", quantity=1, lot="A")
    parcel = OrderShipped(order_id="O", lines=(line, line.model_copy(update={"lot": "B"})), shipped_at=NOW)
    assert [replaced.lot for replaced in replace_held_lots(parcel, {"B"}).lines] == ["A", "B-checked"]


def test_the_bundled_orders_span_two_months() -> None:
    orders = bundled.read().orders
    assert len(orders) == 300
    assert timedelta(days=50) < orders[-1].placed_at - orders[0].placed_at < timedelta(days=62)


def test_the_bundled_orders_hold_late_early_preordered_lost_and_cancelled_ones() -> None:
    dataset = bundled.read()
    shipped = [
        (order, order.shipped_at.astimezone(dataset.zone).date()) for order in dataset.orders if order.shipped_at
    ]
    late = sum(day > order.promised_ship_date for order, day in shipped)
    early = sum(day < order.promised_ship_date for order, day in shipped)
    lost = sum(1 for order, _ in shipped if order.delivered_at is None)
    counts = (late, early, sum(order.is_preorder for order in dataset.orders), lost)
    assert all(counts), counts


def test_bundled_customers_live_at_example_addresses_only() -> None:
    domains = {order.customer.email.partition("@")[2] for order in bundled.read().orders}
    assert domains <= {"example.jp", "example.com"}


def test_times_of_an_olist_folder_are_local_to_brazil(folder: Path) -> None:
    orders = {order.order_id: order for order in olist.read(folder).orders}
    assert orders["o3"].delivered_at is not None
    assert orders["o3"].delivered_at.utcoffset() == timedelta(hours=-3)


def test_the_promise_of_an_olist_order_is_the_local_day_of_its_last_shipping_limit(folder: Path) -> None:
    order = next(order for order in olist.read(folder).orders if order.order_id == "o1")
    assert [line.promised_ship_date for line in order.lines] == [date(2018, 4, 3), date(2018, 4, 3)]


def test_equal_units_of_an_olist_order_become_one_line(folder: Path) -> None:
    order = next(order for order in olist.read(folder).orders if order.order_id == "o1")
    assert [(line.line_id, line.quantity) for line in order.lines] == [("1", 2), ("3", 1)]


def test_olist_orders_without_items_are_left_out(folder: Path) -> None:
    assert {order.order_id for order in olist.read(folder).orders} == {"o1", "o2", "o3"}


def test_orders_of_one_olist_person_are_counted(folder: Path) -> None:
    counts = {order.order_id: order.purchase_count for order in olist.read(folder).orders}
    assert counts == {"o1": 1, "o2": 1, "o3": 2}


def test_a_folder_of_neither_form_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(OrderFileError, match=r"order_items\.csv"):
        order_sources.load_orders(tmp_path, seed=1)


def test_a_folder_in_the_bundled_form_is_read() -> None:
    assert len(order_sources.load_orders(bundled.FOLDER, seed=1).orders) == 300
