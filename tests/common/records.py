"""Kafka records without a broker, as a consumer receives them."""

from typing import Any

from aiokafka import ConsumerRecord


def record(offset: int, key: str, value: bytes | None, topic: str = "storefront.orders") -> "ConsumerRecord[Any, Any]":
    return ConsumerRecord(
        topic=topic, partition=0, offset=offset, timestamp=1_800_000_000_000, timestamp_type=0, key=key.encode(),
        value=value, checksum=None, serialized_key_size=len(key), serialized_value_size=len(value or b""), headers=(),
    )  # fmt: skip
