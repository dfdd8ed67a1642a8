"""Generates the bundled orders, always the same ones.

Invented orders carry no licence and no personal data. The first `SHOWCASE` orders are what `make demo` replays: within
two weeks they show every feature, with more late orders, preorders and buyers of the defective lot than the others, and
their random numbers were chosen so that the reports of the default seed have every reason (tests/demo/test_showcase).
"""

import csv
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

HERE = Path(__file__).parent
ZONE = ZoneInfo("Asia/Tokyo")
FIRST_DAY = date(2026, 3, 2)
DAYS, ORDERS, CUSTOMERS = 60, 300, 210
SHOWCASE, SHOWCASE_DAYS, SHOWCASE_RANDOM, FIRST_ORDER = 60, 14, 1, 37301
DEFECTIVE_PRODUCT, DEFECTIVE_LOT = "KTL-01", "KTL-01-B"
DEFECTIVE_LOT_BUYERS = frozenset({6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 22, 24, 40, 47})
PREORDERS = frozenset({2, 13, 27})
LATE = {4: 2, 16: 5, 26: 3, 33: 2, 44: 9, 52: 2, 56: 9}
LOST, CANCELLED = frozenset({3}), frozenset({21})
"""Numbers of showcase orders, and for late ones the days."""
WAREHOUSE, SLOW_WAREHOUSE = "saitama", "osaka"
SLOW_ORDERS = frozenset({1, 4, 9, 13, 16, 22, 26, 30, 33, 34, 38, 41, 44, 45, 47, 56, 57, 59})
"""Showcase orders of the warehouse that is late by and by, so that staff are warned of its last ones. It is closed on
Sundays, the other one on no weekday."""


PRODUCTS = (
    ("KTL-01", "南部鉄器の急須 0.6L", "kitchen", 12800),
    ("KTL-02", "ほうろうケトル 1.2L", "kitchen", 5980),
    ("CUP-11", "波佐見焼マグカップ", "tableware", 1980),
    ("CUP-12", "ガラスの酒器セット", "tableware", 4400),
    ("BWL-21", "漆の汁椀 二客組", "tableware", 7700),
    ("KNF-31", "三徳包丁 170mm", "kitchen", 14300),
    ("BRD-32", "檜のまな板", "kitchen", 3850),
    ("LMP-41", "和紙の卓上灯", "home", 9900),
    ("TWL-51", "今治タオル 三枚組", "home", 3300),
    ("BLK-52", "ウールの膝掛け", "home", 8800),
    ("BAG-61", "帆布の肩掛け鞄", "fashion", 11000),
    ("UMB-62", "長傘 16本骨", "fashion", 6600),
    ("PEN-71", "万年筆 極細字", "stationery", 16500),
    ("NTB-72", "方眼手帳 B6", "stationery", 1320),
    ("FIG-81", "限定フィギュア「風待ち」", "hobby", 19800),
    ("FIG-82", "限定フィギュア「雪明かり」", "hobby", 22000),
    ("KIT-83", "木製からくり組立キット", "hobby", 5500),
    ("SPK-91", "竹の小型スピーカー", "audio", 13200),
)
PARTS_OF_KITS = (
    ("CUP-12", "CUP-12-T", "徳利 / flask", 1),
    ("CUP-12", "CUP-12-G", "盃 / sake cup", 2),
    ("TWL-51", "TWL-51-T", "タオル / towel", 3),
    ("KIT-83", "KIT-83-W", "木部品一式 / wooden parts", 1),
    ("KIT-83", "KIT-83-G", "歯車 / gear wheel", 6),
    ("KIT-83", "KIT-83-M", "組立説明書 / manual", 1),
)
PREORDERED = {"FIG-81", "FIG-82"}
LINES_PER_LOT = 14
SUNDAY = 6

FAMILY = ("架空", "見本", "例田", "仮山", "試原", "雛形", "想田", "空野", "夢川", "写本")
GIVEN = ("一花", "二葉", "三樹", "四季", "五月", "六実", "七海", "八雲", "九音", "十和")
ENGLISH = ("Alex Sample", "Kim Example", "Robin Placeholder", "Sam Fiction", "Jo Specimen", "Max Invented")
PLACES = (
    ("100-0000", "東京都", "架空区"),
    ("530-0000", "大阪府", "見本市"),
    ("060-0000", "北海道", "例示市"),
    ("810-0000", "福岡県", "仮想市"),
    ("980-0000", "宮城県", "想像市"),
    ("460-0000", "愛知県", "試作市"),
)

Row = Sequence[Any]


def main() -> None:
    rng = random.Random(20260302)
    customers = [_customer(rng, number) for number in range(CUSTOMERS)]
    orders, lines = _orders(rng, [str(row[0]) for row in customers])
    _write("products.csv", "sku name product_group unit_price", PRODUCTS)
    _write("components.csv", "sku part_sku name quantity", PARTS_OF_KITS)
    fields = "customer_id name email language postal_code country region city street phone"
    _write("customers.csv", fields, customers)
    _write("orders.csv", "order_id customer_id placed_at shipped_at delivered_at cancelled_at", orders)
    fields = "order_id line_id sku quantity promised_ship_date preorder lot warehouse"
    _write("order_lines.csv", fields, _with_warehouses(_with_lots(lines)))


def _write(name: str, fields: str, rows: Iterable[Row]) -> None:
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(fields.split())
        writer.writerows(rows)


def _customer(rng: random.Random, number: int) -> Row:
    english = rng.random() < 0.2
    name = f"{rng.choice(ENGLISH)} {number}" if english else f"{rng.choice(FAMILY)} {rng.choice(GIVEN)}{number}"
    postal_code, region, city = rng.choice(PLACES)
    street = f"架空町{rng.randint(1, 9)}-{rng.randint(1, 30)}-{number}"
    email = f"kyaku{number:03}@example.{'com' if english else 'jp'}"
    language = "en" if english else "ja"
    return f"C{number:04}", name, email, language, postal_code, "JP", region, city, street, f"+81-00-0000-{number:04}"


def _orders(rng: random.Random, customers: Sequence[str]) -> tuple[list[Row], list[Row]]:
    orders, lines = _showcase(random.Random(SHOWCASE_RANDOM), customers)
    later = FIRST_DAY + timedelta(days=SHOWCASE_DAYS)
    days = DAYS - SHOWCASE_DAYS
    moments = sorted(_moment(rng, later + timedelta(days=rng.randrange(days))) for _ in range(ORDERS - SHOWCASE))
    for number, placed in enumerate(moments, SHOWCASE):
        order_id = f"S{FIRST_ORDER + number}"
        preorder = rng.random() < 0.08
        promised = placed.date() + timedelta(days=rng.randint(18, 40) if preorder else rng.randint(1, 3))
        orders.append((order_id, rng.choice(customers), placed.isoformat(), *_fate(rng, promised, preorder)))
        lines.extend((order_id, f"L{n}", *line) for n, line in enumerate(_lines(rng, promised, preorder), 1))
    return orders, lines


def _showcase(rng: random.Random, customers: Sequence[str]) -> tuple[list[Row], list[Row]]:
    """Orders by number, evenly over the days; some customers buy twice."""
    orders: list[Row] = []
    lines: list[Row] = []
    for number in range(SHOWCASE):
        day = FIRST_DAY + timedelta(days=number * SHOWCASE_DAYS // SHOWCASE)
        placed = datetime.combine(day, time(8 + number * SHOWCASE_DAYS % SHOWCASE // 5, rng.randrange(60)), ZONE)
        preorder = number in PREORDERS
        promised = day + timedelta(days=rng.randint(8, 12) if preorder else rng.randint(1, 2))
        fate = _showcase_fate(rng, number, promised)
        order_id = f"S{FIRST_ORDER + number}"
        orders.append((order_id, rng.choice(customers[:45]), placed.isoformat(), *fate))
        bought = list(_lines(rng, promised, preorder))
        if number in DEFECTIVE_LOT_BUYERS:
            bought[0] = (DEFECTIVE_PRODUCT, 1, promised.isoformat(), 0)
        lines.extend((order_id, f"L{n}", *line) for n, line in enumerate(bought, 1))
    return orders, lines


def _showcase_fate(rng: random.Random, number: int, promised: date) -> tuple[str, str, str]:
    if number in CANCELLED:
        return "", "", _moment(rng, promised - timedelta(days=1)).isoformat()
    leaves = promised + timedelta(days=LATE.get(number, 0))
    shipped = datetime.combine(leaves, time(rng.randint(9, 11), rng.randrange(60)), ZONE)
    delivered = shipped + timedelta(days=rng.randint(1, 2), hours=rng.randint(0, 8))
    return shipped.isoformat(), "" if number in LOST else delivered.isoformat(), ""


def _with_lots(lines: Iterable[Row]) -> Iterable[Row]:
    """Each product is made in lots that are sold one after the other."""
    sold: Counter[str] = Counter()
    for line in lines:
        order, sku = int(str(line[0])[1:]) - FIRST_ORDER, str(line[2])
        if order in DEFECTIVE_LOT_BUYERS and sku == DEFECTIVE_PRODUCT:
            yield *line, DEFECTIVE_LOT
            continue
        lot = (
            "ACDEFGH"[sold[sku] // LINES_PER_LOT] if sku == DEFECTIVE_PRODUCT else "ABCDEFG"[sold[sku] // LINES_PER_LOT]
        )
        yield *line, f"{sku}-{lot}"
        sold[sku] += 1


def _with_warehouses(lines: Iterable[Row]) -> Iterable[Row]:
    """A third of the later orders are of the slow warehouse, as far as it is open on the promised day."""
    for line in lines:
        number, promised = int(str(line[0])[1:]) - FIRST_ORDER, date.fromisoformat(str(line[4]))
        is_slow = number in SLOW_ORDERS if number < SHOWCASE else number % 3 == 0 and promised.weekday() != SUNDAY
        yield *line, SLOW_WAREHOUSE if is_slow else WAREHOUSE


def _moment(rng: random.Random, day: date) -> datetime:
    return datetime.combine(day, time(rng.randint(7, 23), rng.randrange(60), rng.randrange(60)), ZONE)


def _fate(rng: random.Random, promised: date, preorder: bool) -> tuple[str, str, str]:
    """Shipped, delivered, cancelled: one in nine late, a few early, a few never delivered, a few cancelled."""
    if rng.random() < 0.015:
        return "", "", _moment(rng, promised - timedelta(days=1)).isoformat()
    late = rng.choice((1, 2, 3, 5, 9)) if rng.random() < 0.11 else 0
    if preorder and rng.random() < 0.25:
        late = -rng.randint(3, 6)
    shipped = datetime.combine(promised + timedelta(days=late), time(rng.randint(9, 11), rng.randrange(60)), ZONE)
    if rng.random() < 0.01:
        return shipped.isoformat(), "", ""
    delivered = shipped + timedelta(days=rng.randint(1, 3), hours=rng.randint(0, 8))
    return shipped.isoformat(), delivered.isoformat(), ""


def _lines(rng: random.Random, promised: date, preorder: bool) -> Iterable[Row]:
    shelf = [product[0] for product in PRODUCTS if (product[0] in PREORDERED) == preorder]
    count = 1 if preorder else rng.choices((1, 2, 3), (6, 3, 1))[0]
    for sku in rng.sample(shelf, min(count, len(shelf))):
        yield sku, rng.choices((1, 2, 4), (7, 2, 1))[0], promised.isoformat(), int(preorder)


if __name__ == "__main__":
    main()
