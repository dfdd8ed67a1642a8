"""Customers who decide about late orders by the links in their mails, and staff who decide about faulty lots."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.common.http.signed_links import Purpose, SignedLinks
from tests.faults.system import LINK_SECRET, FaultSystem

MAIL_PAUSE = 0.5


class ChoiceMails:
    """Links to questions about orders, as they arrive at the mail server."""

    def __init__(self, system: FaultSystem) -> None:
        self._system, self._read = system, 0
        self._seen: set[tuple[str, UUID]] = set()

    @property
    def unread(self) -> Sequence[str]:
        return self._system.infrastructure.mail.choice_links(self._read)

    async def next_links(self) -> list[tuple[str, str]]:
        """Wait a little; return order and path of each question that a mail asked for the first time."""
        await asyncio.sleep(MAIL_PAUSE)
        paths = await asyncio.to_thread(lambda: self.unread)
        self._read += len(paths)
        links, found = SignedLinks([LINK_SECRET]), []
        for path in paths:
            order_id, choice_id = links.read(Purpose.CHOICE, path.removeprefix("/c/")).subject
            question = (str(order_id), UUID(str(choice_id)))
            if question not in self._seen:
                self._seen.add(question)
                found.append((question[0], path))
        return found


def cluster_decision(detected: Mapping[str, Any], lot: str) -> dict[str, Any]:
    """Staff hold the faulty lot and warn its buyers; they refuse every other cluster as known."""
    is_faulty = detected.get("lot") == lot
    return {"approve": is_faulty, "hold": is_faulty, "warn": is_faulty, "staff": "S-1", "comment": "looked at the lot"}
