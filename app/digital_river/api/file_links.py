"""Public links to files: they expire, and each one minted is one more address that opens the file."""

from datetime import datetime

from app.digital_river.api.pagination import Entries, fetch_every
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.paths import path
from app.digital_river.models import FileLink, Listing
from app.digital_river.models.timestamps import from_instant
from app.ids import FileId


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
