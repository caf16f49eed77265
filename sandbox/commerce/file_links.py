"""File links: public addresses of files that expire."""

from datetime import datetime

from sandbox.commerce.metadata import merged_metadata
from sandbox.delivery.events import emit
from sandbox.errors import bad_request, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import find_time, iso_time, iso_time_milliseconds
from sandbox.state.store import new_id


def is_expired(runtime: Runtime, link: Json) -> bool:
    expires = find_time(link["expiresTime"])
    return expires is None or expires <= runtime.now()


def show_link(runtime: Runtime, link: Json) -> Json:
    return {**link, "expired": is_expired(runtime, link)}


def get_stored_link(runtime: Runtime, resource_id: str) -> Json:
    link = runtime.store.file_links.get(resource_id)
    if link is None:
        raise not_found("File link", resource_id)
    return link


def delete_stored_link(runtime: Runtime, link: Json) -> None:
    del runtime.store.file_links[link["id"]]
    del runtime.store.links_by_file[link["fileId"]][link["id"]]


def links_of_file(runtime: Runtime, file_id: str) -> dict[str, Json]:
    return runtime.store.links_by_file.get(file_id, {})


def store_link(runtime: Runtime, file_id: str, expires_time: object, metadata: object = None) -> Json:
    """Store a link. Raises the documented 400 if the expiry is not in the future."""
    resource_id = new_id()
    link: Json = {
        "id": resource_id,
        "createdTime": iso_time_milliseconds(runtime.now()),
        "expired": False,
        "expiresTime": iso_time(parse_future_expiry(runtime, expires_time)),
        "fileId": file_id,
        "url": f"{runtime.settings.link_url or runtime.base_url}/links/{resource_id}",
        "liveMode": runtime.settings.live_mode,
    }
    if metadata is not None:
        link["metadata"] = merged_metadata({}, metadata)
    runtime.store.file_links[resource_id] = link
    runtime.store.links_by_file.setdefault(file_id, {})[resource_id] = link
    emit(runtime, "fileLink.created", link)
    return link


def parse_future_expiry(runtime: Runtime, expires_time: object) -> datetime:
    timestamp = find_time(expires_time)
    if timestamp is None or timestamp <= runtime.now():
        raise bad_request(
            "invalid_parameter",
            "expiresTime",
            "Please provide a valid link expiration time in ISO8601 format and UTC timezone",
        )
    return timestamp
