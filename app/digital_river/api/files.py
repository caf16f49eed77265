"""Files: what they are, what is in them, and new ones."""

from contextlib import AbstractAsyncContextManager

from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.paths import path
from app.digital_river.client.request import Download, Upload
from app.digital_river.models import File
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
