"""Entry point `GET /`: name and purpose of the service, and links to its documentation and pages."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from markupsafe import Markup

_PAGE = Markup(
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{title}</title><h1>{title}</h1><p>{description}</p><ul>{links}</ul></html>"
)
_LINK = Markup('<li><a href="{address}">{name}</a></li>')
_LINKS = {"api docs": "/docs", "openapi": "/openapi.json", "health": "/health/ready"}


def entry_routes(pages: Mapping[str, str]) -> APIRouter:
    """`pages` are the service's own pages for people, by name."""
    links = {**pages, **_LINKS}
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def entry_point(request: Request) -> Response:
        """Answer browsers with HTML, and other clients with JSON."""
        base, app = request.scope.get("root_path", "").rstrip("/"), request.app
        addresses = {name: base + path for name, path in links.items()}
        headers = {"Vary": "Accept"}
        if "text/html" in request.headers.get("accept", ""):
            items = Markup("").join(_LINK.format(name=name, address=address) for name, address in addresses.items())
            return HTMLResponse(
                _PAGE.format(title=app.title, description=app.description, links=items), headers=headers
            )
        body = {"service": app.title, "description": app.description, "version": app.version, "links": addresses}
        return JSONResponse(body, headers=headers)

    return router
