"""File links: public, temporary addresses of files."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import Form, read_json
from sandbox.api.lists import Filters, answer_list, plain
from sandbox.commerce.file_links import (
    forget_link,
    future_expiry,
    get_stored_link,
    is_expired,
    links_of,
    make_link,
    show_link,
)
from sandbox.delivery.events import emit
from sandbox.errors import bad_request, conflict
from sandbox.json_types import Json
from sandbox.runtime.runtime import world_of
from sandbox.state.clock import stamp

# `expired` is derived, so the filter sees what the answer shows.
_FILTERS = Filters(equals=plain("fileId"), moments=plain("createdTime"), own=frozenset({"expired"}))


async def create_link(request: Request) -> Response:
    world = world_of(request)
    form = Form(await read_json(request), ("fileId", "expiresTime", "metadata"))
    form.require("fileId", "expiresTime")
    file_id = form.text("fileId")
    form.done()
    if file_id not in world.ledger.files:
        # 404 is no documented answer of this call; a 409 that carries not_found is seen elsewhere.
        raise conflict("not_found", f"File '{file_id}' not found.", "fileId")
    link = make_link(world, file_id, form.body["expiresTime"], form.body.get("metadata"))
    return JSONResponse(show_link(world, link), 201)


async def list_links(request: Request) -> Response:
    world = world_of(request)
    expired = request.query_params.get("expired")
    if expired not in (None, "true", "false"):
        raise bad_request("invalid_boolean", "expired", f"'{expired}' is not a valid boolean.")

    def is_wanted(link: Json) -> bool:
        return expired is None or is_expired(world, link) == (expired == "true")

    file_id = request.query_params.get("fileId")
    return answer_list(
        request,
        world.ledger.file_links if file_id is None else links_of(world, file_id),
        _FILTERS,
        show=lambda link: show_link(world, link),
        keep=is_wanted,
    )


async def get_link(request: Request) -> Response:
    world = world_of(request)
    return JSONResponse(show_link(world, get_stored_link(world, request.path_params["id"])))


async def update_link(request: Request) -> Response:
    """Digital River docs, File links: an expired link can no longer be updated."""
    world = world_of(request)
    link = get_stored_link(world, request.path_params["id"])
    form = Form(await read_json(request), ("expiresTime",))
    form.require("expiresTime")
    form.done()
    if is_expired(world, link):
        raise conflict("invalid_state", f"File link '{link['id']}' has expired.", "id")
    previous = {"expiresTime": link["expiresTime"]}
    link["expiresTime"] = stamp(future_expiry(world, form.body["expiresTime"]))
    emit(world, "fileLink.updated", show_link(world, link), previous)
    return JSONResponse(show_link(world, link))


async def delete_link(request: Request) -> Response:
    world = world_of(request)
    link = get_stored_link(world, request.path_params["id"])
    forget_link(world, link)
    emit(world, "fileLink.deleted", show_link(world, link))
    return Response(status_code=204)


routes = [
    Route("/file-links", create_link, methods=["POST"]),
    Route("/file-links", list_links, methods=["GET"]),
    Route("/file-links/{id}", get_link, methods=["GET"]),
    Route("/file-links/{id}", update_link, methods=["POST"]),
    Route("/file-links/{id}", delete_link, methods=["DELETE"]),
]
