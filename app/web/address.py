"""A postal address as frontends see it, wherever it stands: in orders, profiles and payment sources."""

from typing import Any, Self

from pydantic import ConfigDict

from app.digital_river.models import Address
from app.web.contract import Contract

ADDRESS_EXAMPLE: dict[str, Any] = {
    "line1": "10380 Bren Road West",
    "line2": None,
    "city": "Minnetonka",
    "postalCode": "55343",
    "state": "MN",
    "country": "US",
}


class AddressView(Contract):
    """A postal address; every part may be unknown."""

    model_config = ConfigDict(json_schema_extra={"examples": [ADDRESS_EXAMPLE]})

    line1: str | None
    line2: str | None
    city: str | None
    postal_code: str | None
    state: str | None
    country: str | None
    """ISO 3166-1 alpha-2."""

    @classmethod
    def of(cls, address: Address | None) -> Self | None:
        """The address with null for whatever is empty or unknown; None when there is no address."""
        if address is None:
            return None
        return cls(
            line1=address.line1 or None,
            line2=address.line2 or None,
            city=address.city or None,
            postal_code=address.postal_code or None,
            state=address.state or None,
            country=address.country or None,
        )
