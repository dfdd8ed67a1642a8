"""Photos and details of issues: provided by the storefront, by staff, or by the owner with a signed link.

A photo is read by the storefront for the customer it names, by staff, and by the owner; always through its issue, so
that nobody reads another customer's photo by its hash.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.events.values import Identifier, Sha256
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from libs.common.privacy.customer_merges import is_customer
from libs.common.runtime.dependencies import CurrentService
from services.intake.evidence.storage import EvidenceUnavailableError
from services.intake.evidence.uploads import EvidenceUploads, Quota
from services.intake.http.commands import unknown_issue
from services.intake.http.dependencies import CurrentCommands, CurrentEvidence, CurrentLinks
from services.intake.http.issues import IssuePhoto
from services.intake.http.photo_quota import quota_of
from services.intake.store import evidence as evidence_store
from services.intake.store import issues as issue_store

UPLOADS = ("/v1/photos", "/v1/issues/{issue_id}/photos", "/u/{token}/photos")

_PHOTO_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["photos"],
                "properties": {"photos": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        }
    },
}
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
    "Cache-Control": "private, max-age=3600",
}


class PhotosAnswer(BaseModel):
    """Stored photos; `missing` are the details that the report still lacks."""

    photos: list[IssuePhoto]
    missing: list[str] = []


class MissingPart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    line_id: Identifier
    part: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class ReportDetails(BaseModel):
    """Details of a report: the name of the missing part, by line; a description."""

    model_config = ConfigDict(extra="forbid")

    lines: Annotated[list[MissingPart], Field(max_length=100)] = []
    description: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)] | None = None


class DetailsAnswer(BaseModel):
    missing: list[str]


router = APIRouter(tags=["photos"], responses=PROBLEM_RESPONSE)
_keyed = [Depends(require_caller("storefront", "ops"))]
_upload: dict[str, Any] = {
    "status_code": 201,
    "response_model": PhotosAnswer,
    "openapi_extra": {"requestBody": _PHOTO_BODY},
}


async def _issue_by_id(
    issue_id: UUID, service: CurrentService, customer_id: Annotated[str | None, Query(max_length=128)] = None
) -> UUID:
    """Dependency: the issue, for callers with a key; on behalf of a customer only their own."""
    async with service.pool.acquire() as conn:
        owner = await issue_store.read_customer_id(conn, issue_id)
        if owner is None or not await is_customer(conn, customer_id, owner):
            raise unknown_issue(issue_id)
    return issue_id


async def _issue_by_link(token: str, links: CurrentLinks, service: CurrentService) -> UUID:
    """Dependency: the issue of a signed link, which is looked up before the body of the request is read."""
    issue_id = issue_of_link(links, token, service.clock.now())
    async with service.pool.acquire() as conn:
        if await issue_store.read_customer_id(conn, issue_id) is None:
            raise unknown_issue(issue_id)
    return issue_id


IssueById = Annotated[UUID, Depends(_issue_by_id)]
IssueByLink = Annotated[UUID, Depends(_issue_by_link)]


@dataclass(frozen=True, slots=True)
class _IssuePhotos:
    """Reads and writes of the photo routes, the same for both ways to an issue."""

    commands: CurrentCommands
    evidence: CurrentEvidence

    async def add_photos(self, request: Request, issue_id: UUID, quota: Quota | None = None) -> dict[str, Any]:
        photos = await self.evidence.receive(request, quota)
        await self.commands.provide_details(issue_id, photos=tuple(photos), max_photos=self.evidence.max_photos)
        return {"photos": photos, "missing": await self._missing(issue_id)}

    async def add_details(self, issue_id: UUID, details: ReportDetails) -> dict[str, Any]:
        if not details.lines and not details.description:
            raise Problem(422, "no_details", "lines, description: both are empty; send at least one of them.")
        parts = {line.line_id: line.part for line in details.lines}
        await self.commands.provide_details(issue_id, parts=parts, description=details.description)
        return {"missing": await self._missing(issue_id)}

    async def show(self, issue_id: UUID, sha256: str, *, thumbnail: bool = False) -> StreamingResponse:
        async with self.commands.service.pool.acquire() as conn:
            media_type = await evidence_store.media_type_of(conn, issue_id, sha256)
        return await stream_photo(self.evidence, sha256, media_type, thumbnail=thumbnail)

    async def _missing(self, issue_id: UUID) -> list[str]:
        async with self.commands.service.pool.acquire() as conn:
            return await issue_store.read_missing_details(conn, issue_id)


IssuePhotos = Annotated[_IssuePhotos, Depends(_IssuePhotos)]


@router.post("/v1/photos", dependencies=_keyed, **_upload)
async def add_photos_ahead(request: Request, evidence: CurrentEvidence, service: CurrentService) -> dict[str, Any]:
    """Upload photos before their report, which then names them by `sha256` and is not delayed by a request for them."""
    photos = await evidence.receive(request)
    await service.transact(lambda tx: evidence_store.record_uploads(tx.conn, photos, tx.now))
    return {"photos": photos}


@router.post("/v1/issues/{issue_id}/photos", dependencies=_keyed, **_upload)
async def add_photos(request: Request, issue_id: IssueById, photos: IssuePhotos) -> dict[str, Any]:
    """Add photos. They are identified by their content, so a repeated upload changes nothing."""
    return await photos.add_photos(request, issue_id)


@router.post("/v1/issues/{issue_id}/details", dependencies=_keyed, response_model=DetailsAnswer)
async def add_details(issue_id: IssueById, details: ReportDetails, photos: IssuePhotos) -> dict[str, Any]:
    """Add missing details to a report. A repeated call changes nothing."""
    return await photos.add_details(issue_id, details)


@router.get("/v1/issues/{issue_id}/photos/{sha256}", dependencies=_keyed, response_class=StreamingResponse)
async def show_photo(issue_id: IssueById, sha256: Sha256, photos: IssuePhotos) -> StreamingResponse:
    return await photos.show(issue_id, sha256)


@router.get("/v1/issues/{issue_id}/photos/{sha256}/thumbnail", dependencies=_keyed, response_class=StreamingResponse)
async def show_thumbnail(issue_id: IssueById, sha256: Sha256, photos: IssuePhotos) -> StreamingResponse:
    return await photos.show(issue_id, sha256, thumbnail=True)


@router.post("/u/{token}/photos", name="add_photos", **_upload)
async def add_photos_by_link(request: Request, issue_id: IssueByLink, photos: IssuePhotos) -> dict[str, Any]:
    """Add photos. They are identified by their content, so a repeated upload changes nothing."""
    quota = quota_of(photos.commands.service, f"issue {issue_id}", photos.evidence.max_photos)
    return await photos.add_photos(request, issue_id, quota)


@router.post("/u/{token}/details", name="add_details", response_model=DetailsAnswer)
async def add_details_by_link(issue_id: IssueByLink, details: ReportDetails, photos: IssuePhotos) -> dict[str, Any]:
    """Add missing details to a report. A repeated call changes nothing."""
    return await photos.add_details(issue_id, details)


@router.get("/u/{token}/photos/{sha256}", name="show_photo", response_class=StreamingResponse)
async def show_photo_by_link(issue_id: IssueByLink, sha256: Sha256, photos: IssuePhotos) -> StreamingResponse:
    return await photos.show(issue_id, sha256)


@router.get("/u/{token}/photos/{sha256}/thumbnail", name="show_thumbnail", response_class=StreamingResponse)
async def show_thumbnail_by_link(issue_id: IssueByLink, sha256: Sha256, photos: IssuePhotos) -> StreamingResponse:
    return await photos.show(issue_id, sha256, thumbnail=True)


def issue_of_link(links: SignedLinks, token: str, now: datetime) -> UUID:
    """Return the issue of an upload link. Raises `Problem` 404 for any invalid link."""
    try:
        return UUID(links.read_until(Purpose.UPLOAD, token, now)[0])
    except (LinkInvalidError, IndexError, ValueError) as error:
        raise Problem(404, "link_invalid", "link: invalid or expired; open the link in our latest mail.") from error


async def stream_photo(
    evidence: EvidenceUploads, sha256: str, media_type: str | None, *, thumbnail: bool = False
) -> StreamingResponse:
    """Stream a stored photo; `media_type` is None where the issue has no such photo. Raises `Problem` 404 or 503."""
    if media_type is None:
        raise Problem(404, "unknown_photo", "sha256: the issue has no such photo; see `photos` of the issue.")
    try:
        pieces = await evidence.files.stream(sha256, media_type, thumbnail=thumbnail)
    except EvidenceUnavailableError as error:
        raise _unavailable() from error
    return StreamingResponse(pieces, media_type="image/jpeg" if thumbnail else media_type, headers=_SAFE)


def _unavailable() -> Problem:
    return Problem(503, "evidence_unavailable", "The photo store does not answer; try again soon.", retry_after=5)
