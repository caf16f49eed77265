"""Addresses in request bodies, checked as Digital River checks them."""

import re

import pycountry

from sandbox.api.body_validation import BodyValidator

ADDRESS_FIELDS = ("line1", "line2", "city", "postalCode", "state", "country")
_ADDITIONAL = ("neighborhood", "division", "phoneticName")
# Digital River docs, Checkouts: the countries whose postal codes and states are checked.
_POSTAL_CODES = {
    "US": re.compile(r"\d{5}(-\d{4})?"),
    "CA": re.compile(r"[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d"),
    "GB": re.compile(r"[A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2}"),
    "DE": re.compile(r"\d{5}"),
    "FR": re.compile(r"\d{5}"),
    "ES": re.compile(r"\d{5}"),
    "IT": re.compile(r"\d{5}"),
}
_WITH_STATES = ("US", "CA")
_COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries)
SUBDIVISIONS = frozenset(subdivision.code for subdivision in pycountry.subdivisions)


def read_additional(validator: BodyValidator) -> BodyValidator | None:
    """`additionalAddressInfo` of customers and of owners of sources."""
    additional = validator.nested("additionalAddressInfo", _ADDITIONAL)
    if additional is not None:
        for name in _ADDITIONAL:
            additional.text(name)
    return additional


def check_address(address: BodyValidator) -> None:
    """Check the country always, postal code and state if Digital River checks them for that country."""
    address.require("country")
    for name in ("line1", "line2", "city"):
        address.text(name)
    country, postal_code, state = (address.text(name) for name in ("country", "postalCode", "state"))
    if country and country not in _COUNTRIES:
        address.reject_value("country")
    pattern = _POSTAL_CODES.get(country or "")
    if postal_code and pattern is not None and not pattern.fullmatch(postal_code):
        address.reject_value("postalCode")
    if state and country in _WITH_STATES and f"{country}-{state.upper()}" not in SUBDIVISIONS:
        address.reject_value("state")
