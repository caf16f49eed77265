"""What rooms that this one must not know have to say when a customer is exported or forgotten.

The front door introduces them: `app.state.export_sections` names the members of the export,
`app.state.erasers` says in words fit for a buyer what each one erases.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated

from fastapi import Depends, Request

from app.ids import CustomerId
from app.resources import Resources
from app.web.contract import Contract

Section = Callable[[Resources, CustomerId], Awaitable[Sequence[Contract]]]
"""Everything of one kind about a customer, newest first. Must end, however much there is."""

Eraser = Callable[[Resources, CustomerId], Awaitable[None]]
"""Erases one kind of what we hold about a customer. Must be harmless when repeated."""


def _export_sections(request: Request) -> Mapping[str, Section]:
    sections: Mapping[str, Section] = request.app.state.export_sections
    return sections


def _erasers(request: Request) -> Mapping[str, Eraser]:
    erasers: Mapping[str, Eraser] = request.app.state.erasers
    return erasers


ExportSections = Annotated[Mapping[str, Section], Depends(_export_sections)]
Erasers = Annotated[Mapping[str, Eraser], Depends(_erasers)]
