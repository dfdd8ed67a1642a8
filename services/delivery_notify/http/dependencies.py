"""Dependencies of the routes, read from `request.app.state`."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from libs.common.runtime.service import Service

_BEARER = HTTPBearer(auto_error=False, description="The API key of the caller.")


def get_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(get_service)]


def require_caller(*allowed: str) -> Callable[..., Awaitable[str]]:
    """Return a dependency that yields the caller's name or answers 401 or 403."""

    async def caller(
        request: Request,
        service: ServiceDependency,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> str:
        return await service.require_caller(*allowed)(request, credentials)

    return caller
