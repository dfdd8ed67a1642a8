"""Columns of returns that hold personal data, for the rotation of their keys."""

from libs.common.postgres.key_rotation import EncryptedColumn
from services.returns.store import order_snapshots

ENCRYPTED_COLUMNS = (EncryptedColumn(order_snapshots.TABLE, "order_id", "sealed", order_snapshots.ENCRYPTED_FIELDS),)
