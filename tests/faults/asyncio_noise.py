"""Silences errors of clients whose connections were cut by injected faults."""

import asyncio
import logging
from typing import Any

from aiokafka.errors import KafkaError


def silence_disconnect_errors() -> None:
    """Ignore disconnect errors of the running loop and their logs; all other errors are reported."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.get_running_loop().set_exception_handler(_handle_exception)


def _handle_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), OSError | KafkaError) and "destroyed" not in context["message"]:
        loop.default_exception_handler(context)
