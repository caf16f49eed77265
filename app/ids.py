"""Names for identifiers, because mixing two of them up is how documents leak."""

from typing import NewType

OrderId = NewType("OrderId", str)
FileId = NewType("FileId", str)
CustomerId = NewType("CustomerId", str)
EventId = NewType("EventId", str)
DocumentId = NewType("DocumentId", str)
SourceId = NewType("SourceId", str)
TaxIdentifierId = NewType("TaxIdentifierId", str)
