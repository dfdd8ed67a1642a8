"""Errors of commands: one line on stderr and exit code 2, instead of a stack trace."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from aiokafka.errors import KafkaError
from asyncpg import PostgresError

ERROR, INTERRUPTED = 2, 130


class CommandError(Exception):
    """An error that the operator can correct: the message names the place, the fault and the remedy."""


@contextmanager
def exit_on_error(command: str) -> Iterator[None]:
    """Print an expected error of the block and exit with code 2; on Ctrl-C exit with code 130."""
    try:
        yield
    except CommandError as error:
        _exit(f"{command}: {error}")
    except (OSError, PostgresError, KafkaError) as error:
        _exit(f"{command}: {type(error).__name__}: {' '.join(str(error).split()) or 'no details'}")
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _exit(message: str) -> NoReturn:
    print(message, file=sys.stderr, flush=True)
    sys.exit(ERROR)
