"""Partitions as lists of record batches, kept as they were sent but for their base offset."""

import asyncio
import struct
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from aiokafka.errors import (
    CorruptRecordException,
    OffsetOutOfRangeError,
    OutOfOrderSequenceNumber,
    UnsupportedForMessageFormatError,
)

_OFFSET = struct.Struct(">q")
_HEADER = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, checksum, attributes, last offset delta, first and last timestamp, producer
id and epoch, first sequence, count.
"""
_LENGTH_FROM = 12
REMEMBERED_BATCHES = 5
"""A producer has at most this many batches in flight, so that a repeated one is among the last of them."""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """The header fields that a broker reads. The checksum covers what follows the leader epoch, so that the base offset
    may be written in front of it.
    """

    body: bytes
    last_offset_delta: int
    last_timestamp: int
    producer: tuple[int, int]
    first_sequence: int

    @property
    def is_idempotent(self) -> bool:
        return self.producer[0] >= 0

    @classmethod
    def read_all(cls, records: bytes) -> "list[RecordBatch]":
        """Raises the Kafka error of records that are not whole batches of the present format."""
        found = []
        while records:
            if len(records) < _HEADER.size:
                raise CorruptRecordException
            _, length, _, magic, _, _, last, _, last_time, producer, epoch, sequence, _ = _HEADER.unpack_from(records)
            if magic != 2:
                raise UnsupportedForMessageFormatError
            if len(records) < _LENGTH_FROM + length:
                raise CorruptRecordException
            body, records = records[8 : _LENGTH_FROM + length], records[_LENGTH_FROM + length :]
            found.append(cls(body, last, last_time, (producer, epoch), sequence))
        return found


@dataclass(slots=True)
class PartitionLog:
    """One partition. `appended` is set and replaced at each append, so that waiting fetches wake up."""

    offsets: list[int] = field(default_factory=list)
    batches: list[bytes] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    end: int = 0
    _waiting: set[asyncio.Event] = field(default_factory=set)
    _sequences: dict[tuple[int, int], deque[tuple[int, int, int]]] = field(default_factory=dict)

    def append(self, records: bytes) -> int:
        """Append batches; returns the offset of the first. A repeated batch of an idempotent producer is not appended
        again. Raises a Kafka error.
        """
        first: int | None = None
        for batch in RecordBatch.read_all(records):
            offset = self._repeated(batch)
            if offset is None:
                offset = self._append(batch)
            first = offset if first is None else first
        for event in self._waiting:
            event.set()
        return self.end if first is None else first

    def _append(self, batch: RecordBatch) -> int:
        offset = self.end
        self.offsets.append(offset)
        self.batches.append(_OFFSET.pack(offset) + batch.body)
        self.timestamps.append(batch.last_timestamp)
        self.end += batch.last_offset_delta + 1
        if batch.is_idempotent:
            last = batch.first_sequence + batch.last_offset_delta
            remembered = self._sequences.setdefault(batch.producer, deque(maxlen=REMEMBERED_BATCHES))
            remembered.append((batch.first_sequence, last, offset))
        return offset

    def _repeated(self, batch: RecordBatch) -> int | None:
        """The offset of the same batch, appended before."""
        known = self._sequences.get(batch.producer)
        if not batch.is_idempotent or not known:
            return None
        for first, _, offset in known:
            if first == batch.first_sequence:
                return offset
        if batch.first_sequence != known[-1][1] + 1:
            raise OutOfOrderSequenceNumber
        return None

    def read(self, offset: int, max_bytes: int) -> bytes:
        """Whole batches from the one with this offset on; at least one where there is any. Raises
        `OffsetOutOfRangeError`.
        """
        if not 0 <= offset <= self.end:
            raise OffsetOutOfRangeError
        if offset == self.end:
            return b""
        number = bisect_right(self.offsets, offset) - 1
        chosen = [self.batches[number]]
        size = len(chosen[0])
        for batch in self.batches[number + 1 :]:
            size += len(batch)
            if size > max_bytes:
                break
            chosen.append(batch)
        return b"".join(chosen)

    def offset_at(self, timestamp: int) -> tuple[int, int]:
        """The first batch with a record at or after this timestamp; -1 and -1 without one."""
        for offset, last in zip(self.offsets, self.timestamps, strict=True):
            if last >= timestamp:
                return last, offset
        return -1, -1

    def notify(self, event: asyncio.Event) -> None:
        """Set this event at the next append."""
        self._waiting.add(event)

    def forget(self, event: asyncio.Event) -> None:
        self._waiting.discard(event)
