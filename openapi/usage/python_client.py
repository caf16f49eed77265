"""What a program writes with openapi-python-client's client. Checked by mypy, never run."""

from generated.python.api.customers import export_customer
from generated.python.api.documents import list_documents
from generated.python.client import AuthenticatedClient
from generated.python.models import CustomerExport, DocumentsPage, SourceToSave
from generated.python.types import UNSET, Unset

# What has a default may be left out.
SAVED = SourceToSave(source_id="one")


def documents(client: AuthenticatedClient) -> list[str]:
    """The ids of all documents."""
    found: list[str] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        page = list_documents.sync(client=client, cursor=cursor)
        if not isinstance(page, DocumentsPage):
            raise TypeError(page.detail if page else "")
        found += [one.id for one in page.data]
        cursor = page.next_cursor
    return found


def ordered_items(client: AuthenticatedClient) -> list[str | None]:
    """The names of everything that was ever ordered."""
    found = export_customer.sync("me", client=client)
    return (
        [item.name for one in found.orders for item in one.items] if isinstance(found, CustomerExport) else []
    )
