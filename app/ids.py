"""Gives each kind of id a type, so that mypy finds a mix-up, which could leak another buyer's document."""

from typing import NewType

OrderId = NewType("OrderId", str)
FileId = NewType("FileId", str)
CustomerId = NewType("CustomerId", str)
EventId = NewType("EventId", str)
DocumentId = NewType("DocumentId", str)
SourceId = NewType("SourceId", str)
TaxIdentifierId = NewType("TaxIdentifierId", str)
