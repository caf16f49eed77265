"""Lists that are short by nature, read to their end."""

from app.digital_river.calls import Params
from app.digital_river.errors import Garbled
from app.digital_river.models import Listing
from app.digital_river.models.reading import ResourceT
from app.digital_river.paths import Path
from app.digital_river.transport import Transport

PAGE = 100
MOST_PAGES = 20


async def fetch_every(
    far: Transport, where: Path, params: Params, model: type[Listing[ResourceT]]
) -> list[ResourceT]:
    """All entries of a list, newest first.

    Raises:
        Garbled: the list has no end (more than 2000 entries).
    """
    entries: list[ResourceT] = []
    starting_after: str | None = None
    for _ in range(MOST_PAGES):
        page_params = {**params, "limit": PAGE, "startingAfter": starting_after}
        page = await far.fetch_json("GET", where, params=page_params, model=model)
        entries += page.data
        starting_after = page.next_after
        if starting_after is None:
            return entries
    raise Garbled(f"{where.template} has no end")
