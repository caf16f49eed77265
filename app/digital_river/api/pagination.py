"""Lists of several pages, read to their end, which must come."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Protocol, Self, TypeVar

from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Params, Path
from app.digital_river.errors import Garbled
from app.digital_river.models import Listing
from app.digital_river.models.reading import EntryT

PAGE = 100
# Of lists that are short by nature, and that a buyer waits for.
MOST_PAGES = 5


class Page(Protocol):
    """Anything that knows where the next page begins; None on the last one."""

    @property
    def next_after(self) -> str | None: ...


PageT = TypeVar("PageT", bound=Page)


async def each_page(
    fetch_page: Callable[[str | None], Awaitable[PageT]], *, of: str, most: int
) -> AsyncIterator[PageT]:
    """The pages of a list, newest first. `fetch_page` is given where a page begins, None for the first.

    Raises:
        Garbled: the list begins again, or has more than `most` pages.
    """
    passed: set[str] = set()
    after: str | None = None
    for _ in range(most):
        page = await fetch_page(after)
        yield page
        after = page.next_after
        if after is None:
            return
        if after in passed:
            raise Garbled(f"{of} repeats itself")
        passed.add(after)
    raise Garbled(f"{of} has no end")


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
    client: DigitalRiverClient,
    where: Path,
    expected: Mapping[str, str],
    params: Params,
    model: type[Listing[EntryT]],
) -> Entries[EntryT]:
    """All entries of a list that is short by nature, newest first; `expected` as for `answers.parse`.

    Raises:
        Garbled: the list repeats itself, or has no end (more than 500 entries).
    """

    async def fetch_page(after: str | None) -> Listing[EntryT]:
        page_params = {**params, "limit": PAGE, "startingAfter": after}
        return await client.fetch_json("GET", where, params=page_params, model=model, expected=expected)

    entries: Entries[EntryT] = Entries()
    async for page in each_page(fetch_page, of=where.template, most=MOST_PAGES):
        entries += page.data
        entries.unreadable += page.unreadable("data")
    return entries
