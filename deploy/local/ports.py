"""Loopback ports for servers that are started again on the same port.

Taken from below the range that outgoing connections draw from: a client that keeps trying to reach a killed server can
otherwise be given the server's own port, connect to itself and keep the server from coming back.
"""

import random
import socket

LOOPBACK = "127.0.0.1"
_BELOW_OUTGOING = range(12_000, 30_000)


def free_port() -> int:
    """A port that nobody listens on now."""
    while True:
        port = random.choice(_BELOW_OUTGOING)
        with socket.socket() as probe:
            if _binds(probe, port):
                return port


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((LOOPBACK, port))
    except OSError:
        return False
    return True
