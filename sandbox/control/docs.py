"""The documentation page of the control API. Its script and styles are local, so it works offline."""

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

_ASSETS = "/_sandbox/docs/assets"


def add_docs_page(app: FastAPI) -> None:
    """Serve Swagger UI at `/_sandbox/docs`."""
    page = get_swagger_ui_html(
        openapi_url=str(app.openapi_url),
        title=app.title,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon-32x32.png",
    )

    async def show() -> HTMLResponse:
        return page

    app.add_api_route("/_sandbox/docs", show, include_in_schema=False)
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_swagger", "resources")]))
