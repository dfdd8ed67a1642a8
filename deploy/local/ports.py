"""Loopback ports for servers that are restarted on the same port.

They are below the range of outgoing connections: a client that keeps connecting to a killed server could otherwise get
the server's own port, connect to itself and block the restart.

While a server is down its port is free, and another run could take it. A run that kills servers therefore reserves its
ports: it holds the UDP port of the same number until it ends, however it ends.
"""

import atexit
import random
import socket

from deploy.local.command_line import CommandError

LOOPBACK = "127.0.0.1"
_BELOW_OUTGOING = range(12_000, 30_000)
MAX_ATTEMPTS = 2_000
_kept: list[socket.socket] = []


@atexit.register
def _release() -> None:
    """Close the reservations before the interpreter reports them as unclosed."""
    while _kept:
        _kept.pop().close()


def free_port() -> int:
    """A port that no process listens on or has reserved. Raises `CommandError` where none is left."""
    for _ in range(MAX_ATTEMPTS):
        port = random.choice(_BELOW_OUTGOING)
        with socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as keeper:
            if _binds(probe, port) and _binds(keeper, port):
                return port
    first, last = _BELOW_OUTGOING[0], _BELOW_OUTGOING[-1]
    raise CommandError(f"{LOOPBACK}: no free port from {first} to {last}; end other runs on this machine")


def kept_port() -> int:
    """A free port that no other process gets from `free_port` or `kept_port` until this one ends."""
    while True:
        port = free_port()
        keeper = socket.socket(type=socket.SOCK_DGRAM)
        if _binds(keeper, port):
            _kept.append(keeper)
            return port
        keeper.close()


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((LOOPBACK, port))
    except OSError:
        return False
    return True
