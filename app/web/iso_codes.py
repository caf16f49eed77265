"""Looks up the codes of countries, their subdivisions and languages, which frontends send.

It reads pycountry's files. Through pycountry's objects, one for each of 13,000 entries, it took 7 MB more and
a tenth of the API's CPU time until it was ready.
"""

from pathlib import Path

import pycountry
from pydantic_core import from_json


def _read(standard: str, member: str) -> frozenset[str]:
    entries = from_json((Path(pycountry.DATABASE_DIR) / f"iso{standard}.json").read_bytes())[standard]
    return frozenset(entry[member] for entry in entries if member in entry)


_COUNTRIES = _read("3166-1", "alpha_2")
_SUBDIVISIONS = _read("3166-2", "code")
_LANGUAGES = _read("639-3", "alpha_2")


def is_country(code: str) -> bool:
    """Whether this is a country code (ISO 3166-1 alpha-2)."""
    return code in _COUNTRIES


def is_state(country: str, code: str) -> bool:
    """Whether the country (ISO 3166-1) has this subdivision (the part of ISO 3166-2 after the hyphen)."""
    return f"{country}-{code}" in _SUBDIVISIONS


def is_language(code: str) -> bool:
    """Whether this is a language code of two letters (ISO 639-1)."""
    return code in _LANGUAGES
