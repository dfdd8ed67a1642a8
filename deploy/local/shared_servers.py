"""Servers that all processes of a test run share: each is started at its first use and ends with the run.

The controlling process of the run owns them and answers the workers over a loopback connection. With a lock file, the
first worker to need a broker would own it and end it while others use it.
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


class SharedServerError(Exception):
    """A server could not be started in the controlling process; the message is its error."""


class SharedServers:
    """The owner's side. A maker runs a server and yields its connection data as text."""

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
        """The connection data of this server; started now where it was not used before."""
        with self._one_at_a_time:
            if name not in self._known:
                self._known[name] = self._stack.enter_context(self._makers[name]())
            return self._known[name]

    def close(self) -> None:
        """End the started servers in reverse order."""
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
            except Exception as error:  # every error is sent to the test that asked for the server
                connection.send((False, f"{type(error).__name__}: {error}"))


def shared_server(name: str) -> str:
    """The user's side, in any process of the run. Raises `SharedServerError` if the server could not be started."""
    return _answer_of(os.environ[_ADDRESS], name)


@cache
def _answer_of(address: str, name: str) -> str:
    """An answer holds for the whole run; an error is not kept."""
    port, _, key = address.partition(" ")
    with Client((LOOPBACK, int(port)), authkey=key.encode()) as connection:
        connection.send(name)
        well, answer = connection.recv()
    if not well:
        raise SharedServerError(answer)
    return str(answer)
