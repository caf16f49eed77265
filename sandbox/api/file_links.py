"""File links: public, temporary addresses of files."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import BodyValidator, read_json
from sandbox.api.lists import Filters, by_member, list_response
from sandbox.commerce.file_links import (
    delete_stored_link,
    get_stored_link,
    is_expired,
    links_of_file,
    parse_future_expiry,
    show_link,
    store_link,
)
from sandbox.delivery.events import emit
from sandbox.errors import bad_request, conflict
from sandbox.json_types import Json
from sandbox.runtime.runtime import runtime_of
from sandbox.state.clock import iso_time

# `expired` is computed when it is read, so the route evaluates this filter.
_FILTERS = Filters(
    equals=by_member("fileId"), timestamps=by_member("createdTime"), route_filters=frozenset({"expired"})
)


async def create_link(request: Request) -> Response:
    runtime = runtime_of(request)
    validator = BodyValidator(await read_json(request), ("fileId", "expiresTime", "metadata"))
    validator.require("fileId", "expiresTime")
    file_id = validator.text("fileId")
    validator.raise_errors()
    if file_id not in runtime.store.files:
        # The docs list no 404 for this call. Other calls answer 409 with the code not_found.
        raise conflict("not_found", f"File '{file_id}' not found.", "fileId")
    link = store_link(runtime, file_id, validator.body["expiresTime"], validator.body.get("metadata"))
    return JSONResponse(show_link(runtime, link), 201)


async def list_links(request: Request) -> Response:
    runtime = runtime_of(request)
    expired = request.query_params.get("expired")
    if expired not in (None, "true", "false"):
        raise bad_request("invalid_boolean", "expired", f"'{expired}' is not a valid boolean.")

    def is_selected(link: Json) -> bool:
        return expired is None or is_expired(runtime, link) == (expired == "true")

    file_id = request.query_params.get("fileId")
    return list_response(
        request,
        runtime.store.file_links if file_id is None else links_of_file(runtime, file_id),
        _FILTERS,
        show=lambda link: show_link(runtime, link),
        keep=is_selected,
    )


async def get_link(request: Request) -> Response:
    runtime = runtime_of(request)
    return JSONResponse(show_link(runtime, get_stored_link(runtime, request.path_params["id"])))


async def update_link(request: Request) -> Response:
    """Digital River docs, File links: an expired link can no longer be updated."""
    runtime = runtime_of(request)
    link = get_stored_link(runtime, request.path_params["id"])
    validator = BodyValidator(await read_json(request), ("expiresTime",))
    validator.require("expiresTime")
    validator.raise_errors()
    if is_expired(runtime, link):
        raise conflict("invalid_state", f"File link '{link['id']}' has expired.", "id")
    previous = {"expiresTime": link["expiresTime"]}
    link["expiresTime"] = iso_time(parse_future_expiry(runtime, validator.body["expiresTime"]))
    emit(runtime, "fileLink.updated", show_link(runtime, link), previous)
    return JSONResponse(show_link(runtime, link))


async def delete_link(request: Request) -> Response:
    runtime = runtime_of(request)
    link = get_stored_link(runtime, request.path_params["id"])
    delete_stored_link(runtime, link)
    emit(runtime, "fileLink.deleted", show_link(runtime, link))
    return Response(status_code=204)


routes = [
    Route("/file-links", create_link, methods=["POST"]),
    Route("/file-links", list_links, methods=["GET"]),
    Route("/file-links/{id}", get_link, methods=["GET"]),
    Route("/file-links/{id}", update_link, methods=["POST"]),
    Route("/file-links/{id}", delete_link, methods=["DELETE"]),
]
