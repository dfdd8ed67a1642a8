"""Opens the orders of a replay: the bundled ones, or a folder in one of the two forms that can be read."""

from pathlib import Path

from deploy.demo.data import bundled, olist
from deploy.demo.data.orders import OrderDataset


def load_orders(folder: Path | None, seed: int) -> OrderDataset:
    """Raises `FileNotFoundError` that names what a folder should hold."""
    if folder is None:
        return bundled.read()
    if olist.is_olist(folder):
        return olist.read(folder, seed)
    if (folder / "order_lines.csv").exists():
        return bundled.read(folder)
    raise FileNotFoundError(f"{folder}: no order_items.csv (Olist) and no order_lines.csv (as in deploy/demo/data)")
