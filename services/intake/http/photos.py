"""Photos and facts that a report lacks: brought by the storefront, by staff, or by the owner with a signed link.

A photo is read by the storefront for the customer it names, by staff, and by the owner; it is found only by the issue
that has it, so that nobody sees another's by knowing its name.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.events.values import Identifier, Sha256
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from services.intake.evidence.storage import EvidenceUnavailableError
from services.intake.evidence.uploads import EvidenceUploads
from services.intake.http.commands import IntakeCommands, unknown_issue
from services.intake.http.issues import IssuePhoto
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
    """What is kept of the photos; `missing` is what the report still lacks, empty where it lacks nothing."""

    photos: list[IssuePhoto]
    missing: list[str] = []


class MissingPart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    line_id: Identifier
    part: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class ReportDetails(BaseModel):
    """Facts that a report lacks: the name of the missing part, by line; some words."""

    model_config = ConfigDict(extra="forbid")

    lines: Annotated[list[MissingPart], Field(max_length=100)] = []
    description: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)] | None = None


class DetailsAnswer(BaseModel):
    missing: list[str]


Whose: TypeAlias = Callable[..., Awaitable[UUID]]


def routes(calls: IntakeCommands, evidence: EvidenceUploads, links: SignedLinks) -> APIRouter:
    service = calls.service
    router = APIRouter(tags=["photos"], responses=PROBLEM_RESPONSE)
    anybody = service.require_caller("storefront", "ops")

    async def by_id(issue_id: UUID, customer_id: Annotated[str | None, Query(max_length=128)] = None) -> UUID:
        """The issue, for callers with a key; on behalf of one customer only theirs."""
        async with service.pool.acquire() as conn:
            owner = await issue_store.read_customer_id(conn, issue_id)
        if owner is None or (customer_id is not None and customer_id != owner):
            raise unknown_issue(issue_id)
        return issue_id

    async def by_link(token: str) -> UUID:
        return issue_of_link(links, token, service.clock.now())

    @router.post(
        "/v1/photos",
        status_code=201,
        response_model=PhotosAnswer,
        dependencies=[Depends(anybody)],
        openapi_extra={"requestBody": _PHOTO_BODY},
    )
    async def add_photos_ahead(request: Request) -> dict[str, Any]:
        """Photos for a report that is still to come: it names them by the `sha256` of the answer, and is never held."""
        photos = await evidence.receive(request)
        async with service.transaction() as tx:
            await evidence_store.record_uploads(tx.conn, photos, tx.now)
        return {"photos": photos}

    def of_an_issue(path: str, whose: Whose, guards: list[Any]) -> None:
        @router.post(
            f"{path}/photos",
            status_code=201,
            response_model=PhotosAnswer,
            dependencies=guards,
            openapi_extra={"requestBody": _PHOTO_BODY},
        )
        async def add_photos(request: Request, issue_id: Annotated[UUID, Depends(whose)]) -> dict[str, Any]:
            """Add photos. They are known by their content, so the same upload again changes nothing, without a key."""
            photos = await evidence.receive(request)
            await calls.provide_details(issue_id, photos=tuple(photos), max_photos=evidence.max_photos)
            return {"photos": photos, "missing": await missing(issue_id)}

        @router.post(f"{path}/details", response_model=DetailsAnswer, dependencies=guards)
        async def add_details(issue_id: Annotated[UUID, Depends(whose)], details: ReportDetails) -> dict[str, Any]:
            """Tell what a report lacks. The same again changes nothing."""
            if not details.lines and not details.description:
                raise Problem(422, "nothing_told", "lines, description: tell one of them at least.")
            parts = {line.line_id: line.part for line in details.lines}
            await calls.provide_details(issue_id, parts=parts, description=details.description)
            return {"missing": await missing(issue_id)}

        @router.get(f"{path}/photos/{{sha256}}", dependencies=guards, response_class=StreamingResponse)
        async def show_photo(issue_id: Annotated[UUID, Depends(whose)], sha256: Sha256) -> StreamingResponse:
            return await shown(issue_id, sha256)

        @router.get(f"{path}/photos/{{sha256}}/thumbnail", dependencies=guards, response_class=StreamingResponse)
        async def show_thumbnail(issue_id: Annotated[UUID, Depends(whose)], sha256: Sha256) -> StreamingResponse:
            return await shown(issue_id, sha256, thumbnail=True)

    async def missing(issue_id: UUID) -> list[str]:
        async with service.pool.acquire() as conn:
            return await issue_store.read_missing_details(conn, issue_id)

    async def shown(issue_id: UUID, sha256: str, *, thumbnail: bool = False) -> StreamingResponse:
        async with service.pool.acquire() as conn:
            media_type = await evidence_store.media_type_of(conn, issue_id, sha256)
        return await stream_photo(evidence, sha256, media_type, thumbnail=thumbnail)

    of_an_issue("/v1/issues/{issue_id}", by_id, [Depends(anybody)])
    of_an_issue("/u/{token}", by_link, [])
    return router


def issue_of_link(links: SignedLinks, token: str, now: datetime) -> UUID:
    """The issue that an upload link is about. Raises `Problem` 404, whatever is wrong with the link."""
    try:
        return UUID(links.read_until(Purpose.UPLOAD, token, now)[0])
    except (LinkInvalidError, IndexError, ValueError) as error:
        raise Problem(
            404, "link_invalid", "link: not one of ours, or too old; open the one in our newest mail."
        ) from error


async def stream_photo(
    evidence: EvidenceUploads, sha256: str, media_type: str | None, *, thumbnail: bool = False
) -> StreamingResponse:
    """The photo as it is kept; `media_type` is None where the issue has no such photo. Raises `Problem` 404 or 503."""
    if media_type is None:
        raise Problem(404, "unknown_photo", "sha256: the issue has no such photo; see `photos` of the issue.")
    try:
        pieces = await evidence.files.stream(sha256, media_type, thumbnail=thumbnail)
    except EvidenceUnavailableError as error:
        raise unavailable() from error
    return StreamingResponse(pieces, media_type="image/jpeg" if thumbnail else media_type, headers=_SAFE)


def unavailable() -> Problem:
    return Problem(503, "evidence_unavailable", "The store of photos does not answer; try again soon.", retry_after=5)
