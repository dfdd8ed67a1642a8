"""Receiving of mail: find what it is about, keep its photos as evidence, its text for staff, and publish that it came.

A repeated mail changes nothing: its identity is its `Message-ID`, photos are named by their content, and details that
were provided are not missing any more. Photos come first and the message last, and a mail server repeats what was not
answered, so that a crash in between loses nothing. A text is never a decision: "待ちます" is read by a person, with the
customer's own choice one link away. An automatic mail is counted and left.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.anomalies import AnomalyDetected
from libs.common.events.issues import IssueCustomerWrote, MessageChannel
from libs.common.http.problems import Problem
from libs.common.http.reply_addresses import ReplyAddresses
from libs.common.postgres.pool import Connection
from libs.common.runtime.service import ServiceTransaction
from libs.common.telemetry.metrics import Count
from services.intake.domain.orders import StoredPhoto
from services.intake.evidence.uploads import EvidenceUploads
from services.intake.http.commands import IntakeCommands
from services.intake.http.photo_quota import quota_of
from services.intake.mail.reading import IncomingMail, read_mail
from services.intake.store import customer_messages as store
from services.intake.store.customer_messages import CustomerMessage, MessageContent, MessageSubject
from services.intake.store.issues import read_missing_details

SOURCE = "/mail"
WITHOUT_ISSUE = "message_without_issue"
"""Code of the anomaly of a message that no issue shows."""
MAX_PER_HOUR = 30
"""Messages about one issue within an hour: more are a loop of two machines, and are asked to come later."""


class MailOutcome(StrEnum):
    """Outcome of one received mail."""

    ATTACHED = "attached"
    """It belongs to an issue."""
    UNMATCHED = "unmatched"
    """It belongs to no issue; staff have it as an anomaly."""
    AUTOMATIC = "automatic"
    """No person wrote it: an answering machine, a bounce, a list, or ourselves."""
    REPEATED = "repeated"
    """It was received before."""


@dataclass(frozen=True, slots=True)
class MailReceipt:
    """Outcome of a mail, and its message and issue where it has them."""

    outcome: MailOutcome
    message_id: UUID | None = None
    issue_id: UUID | None = None


@dataclass(frozen=True)
class MailReceiver:
    commands: IntakeCommands
    evidence: EvidenceUploads
    addresses: ReplyAddresses
    received: Count
    """Mails by outcome."""

    async def receive(self, raw: bytes) -> MailReceipt:
        """Raises `UnreadableMailError` for bytes that are no mail, and `Problem` 429 or 503 to try again."""
        mail = await asyncio.to_thread(read_mail, raw)
        receipt = await self._receive(mail, raw)
        self.received.add(receipt.outcome)
        return receipt

    async def _receive(self, mail: IncomingMail, raw: bytes) -> MailReceipt:
        if mail.is_automatic or self.addresses.read([mail.sender]):
            return MailReceipt(MailOutcome.AUTOMATIC)
        message_id = derived_id("customer message", mail.message_id or hashlib.sha256(raw).hexdigest(), mail.sender)
        async with self.commands.service.pool.acquire() as conn:
            if await store.is_recorded(conn, message_id):
                return MailReceipt(MailOutcome.REPEATED, message_id)
            about = await self._subject(conn, mail)
            if about.issue_id:
                await self._limit(conn, about.issue_id)
        stored, refused = await self._keep_pictures(mail, about)
        if about.issue_id:
            await self._provide(about.issue_id, mail, stored)
        await self._record(message_id, about, mail, len(stored), mail.other_files + refused)
        return MailReceipt(
            MailOutcome.ATTACHED if about.issue_id else MailOutcome.UNMATCHED, message_id, about.issue_id
        )

    async def _subject(self, conn: Connection, mail: IncomingMail) -> MessageSubject:
        target = self.addresses.read(mail.addressed)
        if target is None:
            return MessageSubject()
        if target.issue_id:
            return await store.subject_of_issue(conn, target.issue_id)
        return await store.subject_of_order(conn, target.order_digest or "")

    async def _limit(self, conn: Connection, issue_id: UUID) -> None:
        now = self.commands.service.clock.now()
        if await store.count_since(conn, issue_id, now - timedelta(hours=1)) >= MAX_PER_HOUR:
            raise Problem(
                429,
                "too_many_mails",
                "body: too many mails about this issue; send it again in an hour.",
                retry_after=3600,
            )

    async def _keep_pictures(self, mail: IncomingMail, about: MessageSubject) -> tuple[Sequence[StoredPhoto], int]:
        """Return the stored pictures, and the number of those that are unreadable or too many, or have no issue."""
        if not about.issue_id or not mail.pictures:
            return (), len(mail.pictures)
        wanted = mail.pictures[: self.evidence.max_photos]
        await quota_of(self.commands.service, f"issue {about.issue_id}", self.evidence.max_photos)(len(wanted))
        stored = [photo for photo in [await self.evidence.keep(picture) for picture in wanted] if photo]
        return stored, len(mail.pictures) - len(stored)

    async def _provide(self, issue_id: UUID, mail: IncomingMail, photos: Sequence[StoredPhoto]) -> None:
        """Provide what the report lacks. What it does not lack, or has no room for, is left to staff."""
        async with self.commands.service.pool.acquire() as conn:
            missing = await read_missing_details(conn, issue_id)
        description = mail.text if "description" in missing and mail.text else None
        if not photos and not description:
            return
        try:
            await self.commands.provide_details(
                issue_id, photos=tuple(photos), description=description, max_photos=self.evidence.max_photos
            )
        except Problem as problem:
            if problem.status >= 500:
                raise

    async def _record(
        self, message_id: UUID, about: MessageSubject, mail: IncomingMail, photos: int, refused: int
    ) -> None:
        content = MessageContent(mail.sender, mail.subject, mail.text, mail.whole_text)

        async def record(tx: ServiceTransaction) -> None:
            message = CustomerMessage(message_id, about, tx.now, content, photos, refused)
            if await store.record(tx.conn, message):
                await tx.write([_event(message)])

        await self.commands.service.transact(record)


def _event(message: CustomerMessage) -> IssueCustomerWrote | AnomalyDetected:
    about = message.about
    if about.issue_id and about.order_id and about.customer_id:
        return IssueCustomerWrote(
            issue_id=about.issue_id,
            order_id=about.order_id,
            customer_id=about.customer_id,
            message_id=message.message_id,
            channel=MessageChannel.MAIL,
            photos=message.photos,
            wrote_at=message.received_at,
        )
    thing = f"message:{message.message_id}"
    return AnomalyDetected(
        cause=f"intake {WITHOUT_ISSUE} {thing}",
        anomaly=WITHOUT_ISSUE,
        detected_by="intake",
        thing=thing,
        order_id=about.order_id,
        reported_by=SOURCE,
        event_type="mail",
        event_id=str(message.message_id),
        detected_at=message.received_at,
    )
