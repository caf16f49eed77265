"""Files: their content, type and links."""

from sandbox.commerce.file_links import links_of_file, show_link
from sandbox.delivery.events import emit
from sandbox.errors import bad_request, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time
from sandbox.state.store import new_id

_MAGIC_NUMBERS = {"pdf": b"%PDF-", "jpg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
# Digital River, release note 2021-06-11: PDF, JPG, PNG of at most 10 MB.
_LARGEST = 10 * 1024 * 1024


def store_file(
    runtime: Runtime, content: bytes, *, file_name: str, purpose: str, title: str | None = None
) -> Json:
    """Store bytes as a File. Raises 400 if they are too large or of another type."""
    file_type = next((name for name, start in _MAGIC_NUMBERS.items() if content.startswith(start)), None)
    if file_type is None:
        raise bad_request("invalid_parameter", "file", "The file must be a PDF, JPG or PNG.")
    if len(content) > _LARGEST:
        raise bad_request("invalid_parameter", "file", "The file must not be larger than 10 MB.")
    resource_id = new_id()
    file: Json = {
        "id": resource_id,
        "createdTime": iso_time(runtime.now()),
        "fileName": file_name,
        "purpose": purpose,
        "size": len(content),
        "type": file_type,
        "url": f"{runtime.base_url}/files/{resource_id}/content",
        "liveMode": runtime.settings.live_mode,
    }
    if title is not None:
        file["title"] = title
    runtime.store.files[resource_id] = file
    runtime.store.file_contents[resource_id] = content
    emit(runtime, "file.created", file)
    return file


def show_file(runtime: Runtime, file: Json) -> Json:
    """Digital River docs, Files: `links` is absent if there are none."""
    links = links_of_file(runtime, file["id"]).values()
    shown = [show_link(runtime, link) for link in links]
    return {**file, "links": shown} if shown else file


def get_stored_file(runtime: Runtime, resource_id: str) -> Json:
    file = runtime.store.files.get(resource_id)
    if file is None:
        raise not_found("File", resource_id)
    return file
