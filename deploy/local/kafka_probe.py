"""Probe of a Kafka broker: one Metadata request over a plain connection."""

import socket
import struct


def responds(bootstrap_servers: str) -> bool:
    """Return true if a broker answers a Metadata request with at least one broker."""
    host, _, port = bootstrap_servers.split(",", maxsplit=1)[0].rpartition(":")
    request = struct.pack(">hhihi", 3, 1, 1, -1, 0)
    try:
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb").read(12)
    except OSError:
        return False
    return len(answer) == 12 and bool(struct.unpack(">iii", answer)[2] > 0)
