"""Clients whose connection is cut leave futures and tasks behind: our own doing, and nothing to read about."""

import asyncio
import logging
from typing import Any

from aiokafka.errors import KafkaError


def silence_disconnect_errors() -> None:
    """Pass over what cut clients leave behind in the running loop, and what they log; everything else is told."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.get_running_loop().set_exception_handler(_handle_exception)


def _handle_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), OSError | KafkaError) and "destroyed" not in context["message"]:
        loop.default_exception_handler(context)
