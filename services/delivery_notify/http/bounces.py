"""Mail reports (bounces and complaints) from a mail server or a mail provider.

A mail server posts the original report (`message/rfc822`) with an API key; a provider's webhook posts JSON signed by
Standard Webhooks. Repeated reports change nothing.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, SecretStr, StringConstraints, ValidationError

from libs.common.events.faults import fault_texts
from libs.common.events.json_text import well_formed
from libs.common.events.notices import NoticeFailed
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.http.request_schema import json_body
from libs.common.http.standard_webhooks import HEADER_PREFIXES, WrongSignature, check_standard
from libs.common.runtime.dependencies import CurrentService
from libs.common.runtime.service import ServiceTransaction
from services.delivery_notify.channels.bounce_reports import (
    InvalidMailReportError,
    MailReport,
    MailReportKind,
    notice_id_of,
    parse_reports,
)
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from services.delivery_notify.store import bounces, preferences, staff_notices
from services.delivery_notify.store.bounces import BouncedNotice

REPORTERS = ("ops", "mailserver")


class MailReportBody(BaseModel):
    """`code` is the enhanced status of RFC 3463 (5.1.1: no such mailbox), or the type of a complaint (abuse).

    `message_id` is that of the mail: the report concerns the address that this mail was sent to.
    """

    kind: MailReportKind
    address: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)] | None = None
    message_id: Annotated[str, StringConstraints(max_length=300)] | None = None
    code: Annotated[str, StringConstraints(min_length=1, max_length=40)] = "5.0.0"


class MailReportResult(BaseModel):
    """Number of recipients in the report, and number of addresses that it suppressed."""

    reports: int
    suppressed: int


_BODIES = {
    "required": True,
    "content": {
        "application/json": json_body(MailReportBody)["content"]["application/json"],
        "message/rfc822": {"schema": {"type": "string", "format": "binary"}},
    },
}


def get_signing_secrets(request: Request) -> list[str]:
    secrets: Sequence[SecretStr] = request.app.state.bounce_webhook_secrets
    return [secret.get_secret_value() for secret in secrets]


async def authenticate(
    request: Request, service: CurrentService, secrets: Annotated[list[str], Depends(get_signing_secrets)]
) -> None:
    """Accept a signature of the provider, or the API key of a reporter."""
    if secrets and any(f"{name}-signature" in request.headers for name in HEADER_PREFIXES):
        try:
            check_standard(secrets, request.headers, await request.body(), service.clock.now())
        except WrongSignature as error:
            raise Problem(401, error.code, error.message) from error
        return
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    caller = service.callers.identify(key) if scheme.lower() == "bearer" else None
    if caller is None:
        raise Problem(401, "unauthenticated", "Authorization: send `Bearer <API key>`, or a signature.")
    if caller not in REPORTERS:
        raise Problem(403, "forbidden", f"Authorization: this route is for {' and '.join(REPORTERS)}.")


SIGNED = ("/v1/mail-reports",)
"""Full paths of routes whose bodies are verified as they were sent."""

router = APIRouter(prefix="/v1", tags=["mail"], responses=PROBLEM_RESPONSE)


@router.post(
    "/mail-reports",
    status_code=202,
    summary="A bounce (RFC 3464) or a complaint (RFC 5965), original or as JSON",
    openapi_extra={"requestBody": _BODIES},
    dependencies=[Depends(authenticate)],
)
async def post_mail_report(request: Request, service: CurrentService) -> MailReportResult:
    reports = _parse(request.headers.get("content-type", ""), await request.body())

    async def process(tx: ServiceTransaction) -> int:
        return sum([await _process(tx, report) for report in reports])

    return MailReportResult(reports=len(reports), suppressed=await service.transact(process))


def _parse(content_type: str, content: bytes) -> list[MailReport]:
    if content_type.startswith("application/json"):
        try:
            body = MailReportBody.model_validate_json(well_formed(content))
        except ValidationError as error:
            raise Problem(422, "invalid", "; ".join(fault_texts(error, "body"))) from error
        return [MailReport(body.kind, body.address, notice_id_of(body.message_id or ""), body.code)]
    try:
        return parse_reports(content)
    except InvalidMailReportError as error:
        raise Problem(422, "invalid_mail_report", str(error)) from error


async def _process(tx: ServiceTransaction, report: MailReport) -> bool:
    """Process a report about one mail, which may hold several notices; return whether its address was suppressed."""
    found = await bounces.find_sent_notices(tx.conn, report.notice_id) if report.notice_id else []
    for bounced in found:
        if bounced.is_sent and report.kind == MailReportKind.BOUNCE:
            await _resend_or_fail(tx, bounced, report)
    if not found or not report.suppresses_address:
        return False  # a message that we have no record of, or a report that says nothing about its mailbox
    await preferences.suppress_digest(tx.conn, "email", found[0].address_digest, report.cause, tx.now)
    await staff_notices.save(tx.conn, [_address_suppressed(found[0].customer_id, report, tx)])
    return True


async def _resend_or_fail(tx: ServiceTransaction, bounced: BouncedNotice, report: MailReport) -> None:
    """Send a bounced notice by its next channel, or record it as failed."""
    if not await bounces.retry_on_next_channel(tx.conn, bounced.notice_id, report.cause, tx.now):
        await bounces.fail(tx.conn, bounced.notice_id, report.cause, tx.now)
    await tx.write([_notice_failed(bounced, report, tx)])


def _address_suppressed(customer_id: str, report: MailReport, tx: ServiceTransaction) -> StaffNoticeCreated:
    facts = {"customer_id": customer_id, "channel": "email", "cause": report.cause}
    return StaffNoticeCreated(StaffKind.ADDRESS_SUPPRESSED, ("email", customer_id, report.cause), tx.now, facts)


def _notice_failed(bounced: BouncedNotice, report: MailReport, tx: ServiceTransaction) -> NoticeFailed:
    return NoticeFailed.model_validate(
        {
            "order_id": bounced.order_id,
            "customer_id": bounced.customer_id,
            "issue_id": bounced.issue_id,
            "notice_id": bounced.notice_id,
            "kind": bounced.kind,
            "channel": "email",
            "cause": report.cause,
            "failed_at": tx.now,
        }
    )
