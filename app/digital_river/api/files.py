"""Files: what they are, what is in them, and new ones."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime

from app.digital_river.api.pagination import Entries, fetch_every
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Download, Upload, path
from app.digital_river.models import File, FileLink, Listing
from app.digital_river.models.timestamps import from_instant
from app.ids import FileId


async def fetch_file(client: DigitalRiverClient, file_id: FileId) -> File:
    """What is known about a file.

    Raises:
        Missing: there is none.
        Garbled: the answer is about another file.
    """
    where = path("/files/{id}", id=file_id)
    return await client.fetch_json("GET", where, model=File, expected={"id": file_id})


def stream_content(client: DigitalRiverClient, file_id: FileId) -> AbstractAsyncContextManager[Download]:
    """The bytes of a file, which only our key opens; entering raises Missing when there is none."""
    return client.stream(path("/files/{id}/content", id=file_id))


async def upload_file(client: DigitalRiverClient, *, purpose: str, upload: Upload) -> File:
    """Store a new file: PDF, JPG or PNG of at most 10 MB (Digital River docs, Files). Never repeated."""
    fields = {"purpose": purpose, "fileName": upload.file_name}
    return await client.upload(path("/files"), fields=fields, upload=upload, model=File)


async def delete_file(client: DigitalRiverClient, file_id: FileId) -> None:
    """Delete a file and its links for good.

    Raises:
        Missing: there is none.
        Conflict: it cannot be deleted.
    """
    await client.fetch_nothing("DELETE", path("/files/{id}", id=file_id))


async def create_link(client: DigitalRiverClient, file_id: FileId, expires_at: datetime) -> FileLink:
    """Mint a link that works until `expires_at`, an aware future instant, cut to the second.

    Raises:
        Missing, Conflict: there is no such file (which of the two is not documented).
        Refused: the instant is not in the future.
    """
    body = {"fileId": file_id, "expiresTime": from_instant(expires_at)}
    expected = {"file_id": file_id}
    return await client.fetch_json("POST", path("/file-links"), body=body, model=FileLink, expected=expected)


async def fetch_live_links(client: DigitalRiverClient, file_id: FileId) -> Entries[FileLink]:
    """The links of a file that have not expired, newest first."""
    expected, params = {"file_id": file_id}, {"fileId": file_id, "expired": "false"}
    return await fetch_every(client, path("/file-links"), expected, params, Listing[FileLink])
