"""Columns of intake that hold personal data, for the rotation of their keys."""

from libs.common.postgres.key_rotation import EncryptedColumn
from services.intake.store import customer_messages, order_contacts

ENCRYPTED_COLUMNS = (
    EncryptedColumn(
        order_contacts.TABLE,
        "order_id",
        "sealed",
        source="person",
        derived=("tokens",),
        derive=order_contacts.derived_columns,
    ),
    EncryptedColumn(customer_messages.TABLE, "message_id", "content"),
)
