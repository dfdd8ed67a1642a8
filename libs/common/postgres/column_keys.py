"""Encryption of personal columns at rest, so that a dump or a stolen disk alone names nobody.

AES-256-GCM under keys from a setting, with the table's name as associated data. A value is magic, key id, nonce and
ciphertext, so that any number of keys can be in use: the first one encrypts, all of them decrypt, and
`sakidashi keys rotate` moves rows to the first. A key id is derived from its key, so that keys need no names.

Addresses are looked up by a keyed digest. Its key is random, stored encrypted in `column_keys`, and stays the same
over rotations: digests of addresses that are not stored themselves could not be computed again.

Keys travel with the connection (`connection_class`): each store function has one, and none can forget them. Rejected:
pgcrypto, which needs the key in every statement; a key per customer, which the relay would have to look up per record;
binding a value to its row, since who can write rows of the database can do worse than exchange two of them.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import from_json, to_json

from libs.common.config.column_key_settings import ColumnKeySettings
from libs.common.postgres.pool import Connection, TransientError

MAGIC = b"\x93sk1"
_ID, _NONCE = 4, 12
_HEADER = len(MAGIC) + _ID
_DIGEST_MARK = b"\x01"


class ColumnKeyError(Exception):
    """A value cannot be decrypted with the configured keys; the message names the key that is missing."""


class MissingKeyError(ColumnKeyError, TransientError):
    """A value is under a key that only processes with newer settings have, as during a rolling restart."""


class ColumnKeys:
    """Keys of one service's personal columns; without any, values are stored as they are."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        derived = [hashlib.sha256(b"sakidashi column key\n" + secret.encode()).digest() for secret in secrets]
        self._ciphers = {hashlib.sha256(b"id\n" + key).digest()[:_ID]: AESGCM(key) for key in derived}
        self._prefix = MAGIC + next(iter(self._ciphers), b"")
        self.lookup_key = b""
        """Key of digests; read from `column_keys` at start, empty without encryption."""

    def encrypting_with(self, key_id: bytes) -> "ColumnKeys":
        """Return the same keys, of which this one encrypts."""
        keys = ColumnKeys()
        others = {each: cipher for each, cipher in self._ciphers.items() if each != key_id}
        keys._ciphers = {key_id: self._ciphers[key_id], **others}
        keys._prefix = MAGIC + key_id
        keys.lookup_key = self.lookup_key
        return keys

    @property
    def is_encrypting(self) -> bool:
        return bool(self._ciphers)

    @property
    def ids(self) -> list[bytes]:
        """The ids of all keys, first the one that encrypts."""
        return list(self._ciphers)

    @property
    def prefix(self) -> bytes:
        """First bytes of every value encrypted under the first key."""
        return self._prefix

    def seal(self, table: str, plain: bytes) -> bytes:
        """Encrypt a value of this table under the first key; return it unchanged without keys."""
        if not self._ciphers:
            return plain
        nonce = os.urandom(_NONCE)
        cipher = self._ciphers[self._prefix[len(MAGIC) :]]
        return self._prefix + nonce + cipher.encrypt(nonce, plain, table.encode())

    def open(self, table: str, stored: bytes) -> bytes:
        """Decrypt a value of this table. Raises `ColumnKeyError`, or `MissingKeyError` if only the key is missing."""
        cipher = self._ciphers.get(stored[len(MAGIC) : _HEADER])
        if not stored.startswith(MAGIC) or cipher is None:
            raise MissingKeyError(f"{table}: key {stored[len(MAGIC) : _HEADER].hex()} is not among the configured keys")
        nonce, content = stored[_HEADER : _HEADER + _NONCE], stored[_HEADER + _NONCE :]
        try:
            return cipher.decrypt(nonce, content, table.encode())
        except InvalidTag:
            raise ColumnKeyError(f"{table}: a value was changed, or belongs to another table") from None

    def seal_json(self, table: str, fields: Mapping[str, Any]) -> bytes | None:
        """Encrypt the fields that have a value; None if none has one."""
        present = {name: value for name, value in fields.items() if value is not None}
        return self.seal(table, to_json(present)) if present else None

    def open_json(self, table: str, sealed: bytes | None) -> dict[str, Any]:
        """Decrypt the fields of a row; without any, an empty mapping. Raises `ColumnKeyError`."""
        fields: dict[str, Any] = from_json(self.open(table, sealed)) if sealed else {}
        return fields

    def reveal(self, table: str, stored: bytes) -> bytes:
        """Decrypt a value that may have been stored before encryption was turned on.

        Bytes of a stranger that only look encrypted are returned unchanged: no such key id is configured. That every
        key in use is configured is checked at start, and by `key_register.require` for values of other processes.
        """
        return self.open(table, stored) if self.is_sealed(stored) else stored

    def missing_ids(self, stored: Iterable[bytes | None]) -> set[bytes]:
        """Return the ids of keys that are not among these and that values seem to be encrypted under."""
        sealed = [value for value in stored if value is not None and value.startswith(MAGIC)]
        return {value[len(MAGIC) : _HEADER] for value in sealed} - self._ciphers.keys()

    def is_sealed(self, stored: bytes) -> bool:
        """Return whether this value was encrypted under one of these keys."""
        return stored.startswith(MAGIC) and stored[len(MAGIC) : _HEADER] in self._ciphers

    def digest(self, address: str) -> bytes:
        """Return the digest by which an address is found, equal for all spellings in case."""
        plain = hashlib.sha256(address.lower().encode()).digest()
        return _DIGEST_MARK + hashlib.sha256(self.lookup_key + plain).digest() if self.lookup_key else plain

    def token(self, text: str) -> int:
        """Return a keyed hash of 32 bits, signed, by which rows are found; unequal texts may share it."""
        digest = hashlib.blake2b(text.encode(), digest_size=4, key=self.lookup_key).digest()
        return int.from_bytes(digest, "big", signed=True)

    @cached_property
    def connection_class(self) -> type[asyncpg.Connection]:
        """Class of connections that carry these keys."""
        return type("KeyedConnection", (asyncpg.Connection,), {"column_keys": self})


NO_KEYS = ColumnKeys()


def configured_keys(settings: ColumnKeySettings) -> ColumnKeys:
    """Return the keys of these settings."""
    return ColumnKeys(key.get_secret_value() for key in settings.personal_data_keys)


def keys_of(conn: Connection) -> ColumnKeys:
    """Return the keys that this connection carries."""
    keys: ColumnKeys = getattr(conn, "column_keys", NO_KEYS)
    return keys
