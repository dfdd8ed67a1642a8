"""Loopback ports for servers that are started again on the same port.

Taken from below the range that outgoing connections draw from: a client that keeps trying to reach a killed server can
otherwise be given the server's own port, connect to itself and keep the server from coming back.

A server that is down for a while leaves its port free, and another run beside this one could be given it. So a run that
kills servers keeps its ports: for as long as it lives it holds the UDP port of the same number, which nobody here has a
use for and which the system gives back however the run ends.
"""

import random
import socket

from deploy.local.command_line import CommandError

LOOPBACK = "127.0.0.1"
_BELOW_OUTGOING = range(12_000, 30_000)
MAX_ATTEMPTS = 2_000
_kept: list[socket.socket] = []


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
    """A free port that no other process is given by `free_port` or `kept_port` until this one ends."""
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
