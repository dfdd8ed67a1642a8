"""Columns of delivery_notify that hold personal data, for the rotation of their keys."""

from libs.common.postgres.key_rotation import EncryptedColumn
from services.delivery_notify.store import contacts, preferences, reply_texts

ENCRYPTED_COLUMNS = (
    EncryptedColumn(
        contacts.TABLE,
        "order_id",
        "sealed",
        contacts.ENCRYPTED_FIELDS,
        {
            "email_digest": "email",
            "phone_digest": "phone",
            "recipient_email_digest": "recipient.email",
            "recipient_phone_digest": "recipient.phone",
        },
    ),
    EncryptedColumn(contacts.TABLE, "order_id", "requested_sealed", source="requested_address"),
    EncryptedColumn(
        preferences.TABLE,
        "customer_id",
        "sealed",
        preferences.ENCRYPTED_FIELDS,
        {"line_digest": "line_user_id", "phone_digest": "phone"},
    ),
    EncryptedColumn(reply_texts.TABLE, "notice_id", "content"),
)
