"""Receiving of mail: find what it is about, keep its photos as evidence, its text for staff, and publish that it came.

A repeated mail changes nothing: its identity is its `Message-ID`, photos are named by their content, and details that
were provided are not missing any more. Photos come first and the message last, and a mail server repeats what was not
answered, so that a crash in between loses nothing. A text is never a decision: "待ちます" is read by a person, with the
customer's own choice one link away. An automatic mail is counted and left.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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
from services.intake.mail.reader_process import read_in_process
from services.intake.mail.reading import IncomingMail
from services.intake.store import customer_messages as store
from services.intake.store.customer_messages import CustomerMessage, MessageContent, MessageSubject
from services.intake.store.evidence import record_uploads
from services.intake.store.issues import read_missing_details

SOURCE = "/mail"
WITHOUT_ISSUE = "message_without_issue"
"""Code of the anomaly of a message that no issue shows."""
MAX_PER_HOUR = 30
"""Messages about one issue within an hour: more are a loop of two machines, and are asked to come later."""
MAX_UNMATCHED_PER_HOUR = 60
"""Messages of no issue within an hour, each of which is work for staff: more are spam or a wrong set-up."""
MAX_CONCURRENT = 4
"""Mails that a process receives at a time; each is in memory whole."""
READERS = 2
"""Readers at a time, which limits their memory."""


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
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONCURRENT))
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READERS))

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one place, from before the body is read. Raises `Problem` 503 where all are taken."""
        if self._slots.locked():
            raise Problem(
                503, "too_many_concurrent_mails", "body: too many mails at a time; send it again.", retry_after=5
            )
        async with self._slots:
            yield

    async def receive(self, raw: bytes) -> MailReceipt:
        """Raises `UnreadableMailError` for bytes that are no mail, and `Problem` 429 or 503 to try again."""
        async with self._reading:
            mail = await asyncio.to_thread(read_in_process, raw)
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
            await self._limit(conn, about.issue_id)
        photos = await self._provide(about.issue_id, mail) if about.issue_id else 0
        await self._record(message_id, about, mail, photos, mail.other_files + len(mail.pictures) - photos)
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

    async def _limit(self, conn: Connection, issue_id: UUID | None) -> None:
        now = self.commands.service.clock.now()
        most = MAX_PER_HOUR if issue_id else MAX_UNMATCHED_PER_HOUR
        if await store.count_since(conn, issue_id, now - timedelta(hours=1)) >= most:
            raise Problem(
                429,
                "too_many_mails",
                "body: too many mails about one issue, or about none; send it in an hour.",
                retry_after=3600,
            )

    async def _provide(self, issue_id: UUID, mail: IncomingMail) -> int:
        """Attach as many photos as the issue has room for, and provide what the report lacks; return their number."""
        async with self.commands.service.pool.acquire() as conn:
            missing = await read_missing_details(conn, issue_id)
            room = self.evidence.max_photos - await store.count_photos(conn, issue_id)
        photos = await self._keep_pictures(issue_id, mail.pictures[: max(0, room)])
        description = mail.text if "description" in missing and mail.text else None
        if not photos and not description:
            return 0
        try:
            await self.commands.provide_details(
                issue_id, photos=tuple(photos), description=description, max_photos=self.evidence.max_photos
            )
        except Problem as problem:
            if problem.status >= 500:
                raise
            return 0  # another upload was faster; the photos are deleted as those that no report names
        return len(photos)

    async def _keep_pictures(self, issue_id: UUID, pictures: Sequence[bytes]) -> Sequence[StoredPhoto]:
        """Store these pictures, without those that are unreadable, as uploads that nothing names yet."""
        if not pictures:
            return ()
        service = self.commands.service
        await quota_of(service, f"issue {issue_id}", self.evidence.max_photos)(len(pictures))
        kept = [photo for photo in [await self.evidence.keep(picture) for picture in pictures] if photo]
        unique = list({photo.sha256: photo for photo in kept}.values())
        if unique:
            await service.transact(lambda tx: record_uploads(tx.conn, unique, tx.now))
        return unique

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
