"""The postal address that orders, profiles, payment sources and tax documents share."""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, StringConstraints

from app.digital_river.models import Address
from app.web.api_model import ApiModel

_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_NO_CONTROLS)
]
"""One line of text, 1 to 200 characters."""

ADDRESS_EXAMPLE: dict[str, Any] = {
    "line1": "10380 Bren Road West",
    "line2": None,
    "city": "Minnetonka",
    "postalCode": "55343",
    "state": "MN",
    "country": "US",
}


class AddressView(ApiModel):
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
        """The address with null for each empty or unknown part; None if there is no address."""
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
