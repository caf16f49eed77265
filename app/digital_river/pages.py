"""Lists that are short by nature, read to their end."""

from collections.abc import Iterable, Mapping
from typing import Self

from app.digital_river.calls import Params
from app.digital_river.errors import Garbled
from app.digital_river.models import Listing
from app.digital_river.models.reading import EntryT
from app.digital_river.paths import Path
from app.digital_river.transport import Transport

PAGE = 100
MOST_PAGES = 20


class Entries(list[EntryT]):
    """A whole list; `unreadable` is how many of its entries are left out because they cannot be read."""

    def __init__(self, entries: Iterable[EntryT] = (), *, unreadable: int = 0) -> None:
        super().__init__(entries)
        self.unreadable = unreadable

    def all(self) -> Self:
        """The same, where some would pass for all.

        Raises:
            Garbled: an entry is left out.
        """
        if self.unreadable:
            raise Garbled("a list with entries that cannot be read")
        return self


async def fetch_every(
    far: Transport, where: Path, expected: Mapping[str, str], params: Params, model: type[Listing[EntryT]]
) -> Entries[EntryT]:
    """All entries of a list, newest first; `expected` as for `answers.parse`.

    Raises:
        Garbled: the list has no end (more than 2000 entries).
    """
    entries: Entries[EntryT] = Entries()
    starting_after: str | None = None
    for _ in range(MOST_PAGES):
        page_params = {**params, "limit": PAGE, "startingAfter": starting_after}
        page = await far.fetch_json("GET", where, params=page_params, model=model, expected=expected)
        entries += page.data
        entries.unreadable += page.unreadable("data")
        starting_after = page.next_after
        if starting_after is None:
            return entries
    raise Garbled(f"{where.template} has no end")
