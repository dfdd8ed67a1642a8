"""Servers that all processes of a test run share: each started when first asked for, ended with the run.

The process that controls the run owns them and answers the workers over a loopback connection. Chosen over a lock file,
with which the first worker to need a broker would own it and end it under the others.
"""

import os
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import cache
from multiprocessing.connection import Client, Connection, Listener

from deploy.local.ports import LOOPBACK

_ADDRESS = "SAKIDASHI_SHARED_SERVERS"

Maker = Callable[[], AbstractContextManager[str]]


class SharingError(Exception):
    """A server could not be started in the controlling process; the message is what that said."""


class SharedServers:
    """The owner's side. A maker runs a server and yields what its users need to know, as text."""

    def __init__(self, makers: Mapping[str, Maker]) -> None:
        self._makers = makers
        self._stack = ExitStack()
        self._known: dict[str, str] = {}
        self._one_at_a_time = threading.RLock()
        key = secrets.token_hex(16)
        self._listener = Listener((LOOPBACK, 0), backlog=64, authkey=key.encode())
        port = self._listener.address[1]
        os.environ[_ADDRESS] = f"{port} {key}"
        threading.Thread(target=self._serve, daemon=True).start()

    def get(self, name: str) -> str:
        """What the maker of that name yielded; made now if nobody asked before."""
        with self._one_at_a_time:
            if name not in self._known:
                self._known[name] = self._stack.enter_context(self._makers[name]())
            return self._known[name]

    def close(self) -> None:
        """End what was started, last one first."""
        self._listener.close()
        os.environ.pop(_ADDRESS, None)
        with self._one_at_a_time:
            self._stack.close()

    def _serve(self) -> None:
        with suppress(OSError):  # The listener was closed.
            while True:
                connection = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: "Connection[tuple[bool, str], str]") -> None:
        with connection:
            try:
                connection.send((True, self.get(connection.recv())))
            except Exception as error:  # whatever it was, the test that asked has to hear of it
                connection.send((False, f"{type(error).__name__}: {error}"))


def ask(name: str) -> str:
    """The user's side, in any process of the run. Raises `SharingError` if the server could not be started."""
    return _answer_of(os.environ[_ADDRESS], name)


@cache
def _answer_of(address: str, name: str) -> str:
    """An answer holds for the whole run; an error is not kept."""
    port, _, key = address.partition(" ")
    with Client((LOOPBACK, int(port)), authkey=key.encode()) as connection:
        connection.send(name)
        well, answer = connection.recv()
    if not well:
        raise SharingError(answer)
    return str(answer)
