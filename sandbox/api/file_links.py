"""File links: public, temporary addresses of files."""

from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import Form, merged_metadata, read_json
from sandbox.api.events import emit
from sandbox.api.lists import Filters, answer_list, plain
from sandbox.errors import bad_request, conflict, not_found
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import find_moment, stamp, stamp_milliseconds
from sandbox.state.store import Json, new_id

# `expired` is derived, so the filter sees what the answer shows.
_FILTERS = Filters(equals=plain("fileId"), moments=plain("createdTime"), own=frozenset({"expired"}))


def is_expired(world: World, link: Json) -> bool:
    expires = find_moment(link["expiresTime"])
    return expires is None or expires <= world.now()


def show_link(world: World, link: Json) -> Json:
    return {**link, "expired": is_expired(world, link)}


def get_stored(world: World, request: Request) -> Json:
    link = world.ledger.file_links.get(request.path_params["id"])
    if link is None:
        raise not_found("File link", request.path_params["id"])
    return link


def forget_link(world: World, link: Json) -> None:
    del world.ledger.file_links[link["id"]]
    del world.ledger.links_of_files[link["fileId"]][link["id"]]


def links_of(world: World, file_id: str) -> dict[str, Json]:
    return world.ledger.links_of_files.get(file_id, {})


def make_link(world: World, file_id: str, expires_time: object, metadata: object = None) -> Json:
    """Raises the documented 400 unless the expiry lies ahead."""
    identity = new_id()
    link: Json = {
        "id": identity,
        "createdTime": stamp_milliseconds(world.now()),
        "expired": False,
        "expiresTime": stamp(_future(world, expires_time)),
        "fileId": file_id,
        "url": f"{world.settings.link_url or world.base_url}/links/{identity}",
        "liveMode": world.settings.live_mode,
    }
    if metadata is not None:
        link["metadata"] = merged_metadata({}, metadata)
    world.ledger.file_links[identity] = link
    world.ledger.links_of_files.setdefault(file_id, {})[identity] = link
    emit(world, "fileLink.created", link)
    return link


def _future(world: World, expires_time: object) -> datetime:
    moment = find_moment(expires_time)
    if moment is None or moment <= world.now():
        raise bad_request(
            "invalid_parameter",
            "expiresTime",
            "Please provide a valid link expiration time in ISO8601 format and UTC timezone",
        )
    return moment


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
    return JSONResponse(show_link(world, get_stored(world, request)))


async def update_link(request: Request) -> Response:
    """Digital River docs, File links: an expired link can no longer be updated."""
    world = world_of(request)
    link = get_stored(world, request)
    form = Form(await read_json(request), ("expiresTime",))
    form.require("expiresTime")
    form.done()
    if is_expired(world, link):
        raise conflict("invalid_state", f"File link '{link['id']}' has expired.", "id")
    previous = {"expiresTime": link["expiresTime"]}
    link["expiresTime"] = stamp(_future(world, form.body["expiresTime"]))
    emit(world, "fileLink.updated", show_link(world, link), previous)
    return JSONResponse(show_link(world, link))


async def delete_link(request: Request) -> Response:
    world = world_of(request)
    link = get_stored(world, request)
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
