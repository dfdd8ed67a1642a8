"""Loads the orders of a replay: the bundled ones, or a folder in one of the two supported forms."""

from pathlib import Path

from deploy.demo.data import bundled, olist
from deploy.demo.data.csv_table import OrderFileError
from deploy.demo.data.orders import OrderDataset


def load_orders(folder: Path | None, seed: int, count: int | None = None) -> OrderDataset:
    """The first `count` orders, or all. Raises `OrderFileError` where the folder holds none that can be replayed."""
    dataset = _read(folder, seed)
    if not dataset.orders:
        raise OrderFileError(f"{folder}: no order with items; add at least one")
    return OrderDataset(dataset.orders[:count], dataset.zone)


def _read(folder: Path | None, seed: int) -> OrderDataset:
    if folder is None:
        return bundled.read()
    if olist.is_olist(folder):
        return olist.read(folder, seed)
    if (folder / "order_lines.csv").exists():
        return bundled.read(folder)
    known = " or ".join(olist.FILES["order_items"])
    raise OrderFileError(f"{folder}: no {known} (Olist) and no order_lines.csv (the form of deploy/demo/data)")
