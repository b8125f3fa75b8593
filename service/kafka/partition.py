"""Which lane an order belongs to: Kafka's default partitioner, murmur2, as the Java client has it.

It is ours because the lane is part of every key in Postgres: it may not change with a client library.
"""

import struct
from functools import lru_cache

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2 of the bytes, unsigned 32 bits (org.apache.kafka.common.utils.Utils.murmur2)."""
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for (k,) in struct.iter_unpack("<I", data[:whole]):
        k = (k * _M) & _MASK  # noqa: PLW2901 - the algorithm's own name
        k ^= k >> 24  # noqa: PLW2901
        h = ((h * _M) & _MASK) ^ ((k * _M) & _MASK)
    if length > whole:
        h ^= int.from_bytes(data[whole:], "little")
        h = (h * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=65_536)
def lane_of(order_id: str, lanes: int) -> int:
    """The lane, and so the partition, of an order."""
    return (murmur2(order_id.encode()) & 0x7FFFFFFF) % lanes
