"""FastAPI dependencies of all routes of returns."""

from typing import Annotated

from fastapi import Depends, Request

from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.runtime.service import Service
from services.returns.store.cases import Cases


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _cases(request: Request) -> Cases:
    cases: Cases = request.app.state.cases
    return cases


CurrentService = Annotated[Service, Depends(_service)]
CurrentCases = Annotated[Cases, Depends(_cases)]
Key = Annotated[IdempotencyKey, Depends(idempotency_key)]
