"""Columns of partners that are encrypted, for the rotation of their keys."""

from libs.common.postgres.key_rotation import EncryptedColumn
from services.partners.store import feed_reading, subscriptions

ENCRYPTED_COLUMNS = (
    EncryptedColumn(feed_reading.TABLE, "position", "value"),
    EncryptedColumn(subscriptions.SECRETS, "secret_id", "secret"),
)
