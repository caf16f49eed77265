"""Reads a list of several pages to its end, and stops if the list has no end."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Protocol, Self, TypeVar

from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Params, Path
from app.digital_river.errors import Garbled
from app.digital_river.models import Listing
from app.digital_river.models.tolerant_model import EntryT

PAGE_SIZE = 100
# For lists that are short in practice, while a buyer waits.
MAX_PAGES = 5


class Page(Protocol):
    """A page with the cursor of the next page; the cursor is None on the last page."""

    @property
    def next_after(self) -> str | None: ...


PageT = TypeVar("PageT", bound=Page)


async def iterate_pages(
    fetch_page: Callable[[str | None], Awaitable[PageT]], *, list_name: str, max_pages: int
) -> AsyncIterator[PageT]:
    """The pages of a list, newest first. `fetch_page` gets the cursor of a page, None for the first page.

    Raises:
        Garbled: a cursor repeats, or the list has more than `max_pages`. The text names the list.
    """
    passed: set[str] = set()
    after: str | None = None
    for _ in range(max_pages):
        page = await fetch_page(after)
        yield page
        after = page.next_after
        if after is None:
            return
        if after in passed:
            raise Garbled(f"{list_name} repeats itself")
        passed.add(after)
    raise Garbled(f"{list_name} has no end")


class Entries(list[EntryT]):
    """All entries of a list; `unreadable` is how many entries were left out because they cannot be read."""

    def __init__(self, entries: Iterable[EntryT] = (), *, unreadable: int = 0) -> None:
        super().__init__(entries)
        self.unreadable = unreadable

    def require_complete(self) -> Self:
        """The entries, for callers that would take an incomplete list for a complete one.

        Raises:
            Garbled: an entry was left out.
        """
        if self.unreadable:
            raise Garbled("a list with entries that cannot be read")
        return self


async def fetch_all(
    client: DigitalRiverClient,
    endpoint: Path,
    expected: Mapping[str, str],
    params: Params,
    model: type[Listing[EntryT]],
) -> Entries[EntryT]:
    """All entries of a list that is short in practice, newest first; `expected` is as in `parse_response`.

    Raises:
        Garbled: the list repeats itself, or has more than 500 entries.
    """

    async def fetch_page(after: str | None) -> Listing[EntryT]:
        page_params = {**params, "limit": PAGE_SIZE, "startingAfter": after}
        return await client.fetch_json("GET", endpoint, params=page_params, model=model, expected=expected)

    entries: Entries[EntryT] = Entries()
    async for page in iterate_pages(fetch_page, list_name=endpoint.template, max_pages=MAX_PAGES):
        entries += page.data
        entries.unreadable += page.unreadable("data")
    return entries
