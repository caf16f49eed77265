"""Payment sources that a browser made and nobody has saved yet."""

from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.paths import path
from app.digital_river.models import Source
from app.ids import SourceId


async def fetch_source(client: DigitalRiverClient, source_id: SourceId) -> Source:
    """One source, whoever it belongs to: the caller checks `customer_id`.

    Raises:
        Missing: there is none.
    """
    where = path("/sources/{id}", id=source_id)
    return await client.fetch_json("GET", where, model=Source, expected={"id": source_id})
