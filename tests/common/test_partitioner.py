"""The relay's partitioner: the same partitions as those of every other client."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from libs.common.messaging.partitioner import partition_of


@given(key=st.binary(max_size=60), count=st.integers(1, 64))
def test_a_key_goes_where_any_client_of_kafka_would_send_it(key: bytes, count: int) -> None:
    partitions = list(range(count))
    expected = DefaultPartitioner()(key, partitions, partitions)
    assert [partition_of(key, partitions, partitions) for _ in range(2)] == [expected, expected]


def test_a_record_without_a_key_goes_to_an_available_partition() -> None:
    assert partition_of(None, [0, 1, 2], [2]) == 2
