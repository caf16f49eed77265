"""Everything about a customer as one document, gathered at once from wherever it is."""

import asyncio
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, create_model

from app.tax import identifiers
from app.customers.neighbours import Section
from app.customers.schemas import ProfileView
from app.tax.schemas import TaxCertificateView, TaxIdentifierView
from app.digital_river import customers
from app.ids import CustomerId
from app.resources import Resources
from app.web.contract import Contract

_EXAMPLE: dict[str, Any] = {"customerId": "ada", "profile": None, "taxIdentifiers": [], "taxCertificates": []}


class ExportView(Contract):
    """Everything about a customer: who it is, and one list for each kind of thing."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [_EXAMPLE]})
    __pydantic_extra__: dict[str, list[Any]]

    customer_id: str
    profile: ProfileView | None
    """Null when Digital River does not know the customer."""
    tax_identifiers: list[TaxIdentifierView]
    tax_certificates: list[TaxCertificateView]


def document_type(sections: Mapping[str, Section]) -> type[ExportView]:
    """The export as it is published: with the lists of these sections, each of what its section returns."""
    entries: dict[str, type[Contract]] = {
        name: get_args(get_type_hints(section)["return"])[0] for name, section in sections.items()
    }
    lists: dict[str, Any] = {name: (list[entry], ...) for name, entry in entries.items()}  # type: ignore[valid-type]
    return create_model(
        "CustomerExport",
        __base__=ExportView,
        __doc__=ExportView.__doc__,
        __module__=__name__,
        __cls_kwargs__={
            "extra": "forbid",
            "json_schema_extra": {"examples": [_EXAMPLE | {name: [] for name in sections}]},
        },
        **lists,
    )


async def collect(
    resources: Resources, customer_id: CustomerId, sections: Mapping[str, Section]
) -> ExportView:
    """The whole document; all parts are read concurrently.

    Raises:
        ExceptionGroup: a part was not to be had, and half a document would pass for a whole one.
    """
    async with asyncio.TaskGroup() as group:
        customer = group.create_task(customers.find_customer(resources.far, customer_id))
        identifiers = group.create_task(tax_identifiers.list_identifiers(resources, customer_id))
        more = {
            name: group.create_task(_read(section, resources, customer_id))
            for name, section in sections.items()
        }
    found = customer.result()
    return ExportView(
        customer_id=customer_id,
        profile=None if found is None else ProfileView.of(found),
        tax_identifiers=[TaxIdentifierView.of(one) for one in identifiers.result().all()],
        tax_certificates=[] if found is None else TaxCertificateView.all_of(found).all(),
        **{name: task.result() for name, task in more.items()},
    )


async def _read(section: Section, resources: Resources, customer_id: CustomerId) -> list[Contract]:
    return list(await section(resources, customer_id))
