"""Swagger UI at `/docs`, with its files served by the service itself: it works without internet access."""

from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from libs.common.web.assets import Assets

SWAGGER_UI_PACKAGE = "fastapi_swagger"
"""Only its files are used. The better known swagger-ui-bundle has Swagger UI 4, which cannot show OpenAPI 3.1."""


def api_docs_routes() -> APIRouter:
    assets = Assets(files(SWAGGER_UI_PACKAGE) / "resources", prefix="/docs/assets")
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def api_docs(request: Request) -> HTMLResponse:
        base = request.scope.get("root_path", "").rstrip("/")
        return get_swagger_ui_html(
            openapi_url=f"{base}{request.app.openapi_url}",
            title=request.app.title,
            swagger_js_url=base + assets.url("swagger-ui-bundle.js"),
            swagger_css_url=base + assets.url("swagger-ui.css"),
            swagger_favicon_url=base + assets.url("favicon-32x32.png"),
            # The validator badge is an image of another host.
            swagger_ui_parameters={"validatorUrl": None},
        )

    router.include_router(assets.routes())
    return router
