"""Calls about files, their content and their public links."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime

from app.digital_river.api.pagination import Entries, fetch_all
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Download, Upload, path
from app.digital_river.models import File, FileLink, Listing
from app.digital_river.models.timestamps import format_floor
from app.ids import FileId


async def fetch_file(client: DigitalRiverClient, file_id: FileId) -> File:
    """The metadata of a file.

    Raises:
        Missing: there is no such file.
        Garbled: the response is about another file.
    """
    endpoint = path("/files/{id}", id=file_id)
    return await client.fetch_json("GET", endpoint, model=File, expected={"id": file_id})


def stream_content(client: DigitalRiverClient, file_id: FileId) -> AbstractAsyncContextManager[Download]:
    """The content of a file, fetched with our key. Entering raises Missing if there is no such file."""
    return client.stream(path("/files/{id}/content", id=file_id))


async def upload_file(client: DigitalRiverClient, *, purpose: str, upload: Upload) -> File:
    """Store a new file: PDF, JPG or PNG of at most 10 MB (Digital River docs, Files). Never retried.

    Raises:
        OSError: the file could not be read here.
    """
    fields = {"purpose": purpose, "fileName": upload.file_name}
    return await client.upload(path("/files"), fields=fields, upload=upload, model=File)


async def delete_file(client: DigitalRiverClient, file_id: FileId) -> None:
    """Delete a file and its links for good.

    Raises:
        Missing: there is no such file.
        ConflictingState: the file cannot be deleted.
    """
    await client.call_without_result("DELETE", path("/files/{id}", id=file_id))


async def create_link(client: DigitalRiverClient, file_id: FileId, expires_at: datetime) -> FileLink:
    """Create a link that works until `expires_at`, an aware future instant, cut to the second.

    Raises:
        Missing, ConflictingState: there is no such file (which of the two is not documented).
        Refused: the instant is not in the future.
    """
    body = {"fileId": file_id, "expiresTime": format_floor(expires_at)}
    expected = {"file_id": file_id}
    return await client.fetch_json("POST", path("/file-links"), body=body, model=FileLink, expected=expected)


async def fetch_live_links(client: DigitalRiverClient, file_id: FileId) -> Entries[FileLink]:
    """The links of a file that have not expired, newest first."""
    expected, params = {"file_id": file_id}, {"fileId": file_id, "expired": "false"}
    return await fetch_all(client, path("/file-links"), expected, params, Listing[FileLink])
