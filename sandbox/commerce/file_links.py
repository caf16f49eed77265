"""File links: public addresses of files that expire."""

from datetime import datetime

from sandbox.commerce.metadata import merged_metadata
from sandbox.delivery.events import emit
from sandbox.errors import bad_request, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import World
from sandbox.state.clock import find_moment, stamp, stamp_milliseconds
from sandbox.state.store import new_id


def is_expired(world: World, link: Json) -> bool:
    expires = find_moment(link["expiresTime"])
    return expires is None or expires <= world.now()


def show_link(world: World, link: Json) -> Json:
    return {**link, "expired": is_expired(world, link)}


def get_stored_link(world: World, identity: str) -> Json:
    link = world.ledger.file_links.get(identity)
    if link is None:
        raise not_found("File link", identity)
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
        "expiresTime": stamp(future_expiry(world, expires_time)),
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


def future_expiry(world: World, expires_time: object) -> datetime:
    moment = find_moment(expires_time)
    if moment is None or moment <= world.now():
        raise bad_request(
            "invalid_parameter",
            "expiresTime",
            "Please provide a valid link expiration time in ISO8601 format and UTC timezone",
        )
    return moment
