"""Errors as `application/problem+json` (RFC 9457), and the answers of writing routes."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from libs.common.postgres.pool import strip_row_values
from libs.common.telemetry import log_context
from libs.common.telemetry.trace_context import REQUEST_TRACE

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of a response, as stored with an idempotency key. `replayed`: the stored first answer."""

    status: int
    body: dict[str, Any]
    replayed: bool = False

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        media_type = "application/problem+json" if self.status >= 400 else "application/json"
        replayed = {"Idempotent-Replayed": "true"} if self.replayed else {}
        return JSONResponse(self.body, self.status, {**(headers or {}), **replayed}, media_type)


class Problem(Exception):  # noqa: N818 - the name of the format
    """An error for the caller: a stable `code`, and a `detail` that names the field, the fault and the remedy."""

    def __init__(self, status: int, code: str, detail: str, *, retry_after: int | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.members = status, code, detail, members
        self.retry_after = retry_after

    def answer(self) -> Answer:
        return Answer(
            self.status,
            {
                "type": f"urn:sakidashi:problem:{self.code}",
                "code": self.code,
                "title": self.code.replace("_", " "),
                "status": self.status,
                "detail": self.detail,
                **self.members,
            },
        )

    def response(self) -> JSONResponse:
        return self.answer().response({"Retry-After": str(self.retry_after)} if self.retry_after else None)


def refused(code: str, texts: Mapping[str, str], status: int = 409) -> Problem:
    """Return the problem of a refused command; `texts` holds the detail by code."""
    return Problem(status, code, texts.get(code, code))


PROBLEM_RESPONSE: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {}}}
    for status, text in {
        400: "malformed",
        401: "no or wrong API key",
        403: "not allowed",
        404: "not known",
        409: "conflict",
        413: "too large",
        415: "wrong media type",
        422: "invalid",
        503: "try again later",
    }.items()
}
"""For `responses=` of a route: the problems that any writing call may answer with."""


def install_problems(app: FastAPI) -> None:
    """Turn every error of this app into a problem; an unexpected one is logged and answered without detail."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected_error)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.response()


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"][1:]) or str(fault["loc"][0]), "message": fault["msg"]}
        for fault in error.errors()
    ]
    if any(fault["type"] == "json_invalid" for fault in error.errors()):
        return Problem(400, "malformed_json", "body: not valid JSON; see `errors`.", errors=faults).response()
    first = f"{faults[0]['field']}: {faults[0]['message']}"
    return Problem(422, "invalid", first, errors=faults).response()


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 400 and isinstance(error.__cause__, RecursionError | ValueError):
        return Problem(400, "malformed_json", "body: not JSON in UTF-8, or nested too deeply.").response()
    return _of_framework(error.status_code, str(error.detail)).response()


def _of_framework(status: int, detail: str) -> Problem:
    match status:
        case 404:
            return Problem(404, "not_found", detail)
        case 405:
            return Problem(405, "method_not_allowed", detail)
        case _:
            return Problem(status, "http_error", detail)


async def _on_disconnect(request: Request, error: Exception) -> JSONResponse:
    """A client that disconnects during an upload is no server error; nobody reads this answer."""
    return Problem(400, "disconnected", "body: incomplete; send it again.").response()


async def _on_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    # The route template and not the path: the path may hold a signed link.
    route = getattr(request.scope.get("route"), "path", "unknown")
    strip_row_values(error)
    with log_context.about_issue(request.path_params.get("issue_id"), request.scope.get(REQUEST_TRACE)):
        log.error("failed request method=%s route=%s", request.method, route, exc_info=error)
    return Problem(500, "internal", "Internal error; the call may be repeated.").response()
