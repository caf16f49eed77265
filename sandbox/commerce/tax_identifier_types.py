"""The types of tax identifiers: their format, their countries, their test values.

Source: Digital River docs, Tax identifiers (types by country). The patterns are the countries' own rules
for VAT numbers; Digital River's are not published.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.json_types import Json

_IRELAND, _UK = "DR_IRELAND-ENTITY", "DR_UK-ENTITY"
_GLOBALTECH, _BRAZIL = "C5_INC-ENTITY", "DR_BRAZIL-ENTITY"
_JAPAN, _TAIWAN = "DR_JAPAN-ENTITY", "DR_TAIWAN-ENTITY"


@dataclass(frozen=True)
class TaxType:
    """One type. `test_values` are the documented values that are verified at once in test mode."""

    pattern: str
    countries: tuple[str, ...]
    entities: tuple[str, ...] = (_IRELAND,)
    customer_types: tuple[str, ...] = ("business",)
    test_values: tuple[str, ...] = ()

    def accepts(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None

    def applicability(self) -> list[Json]:
        return [
            {"country": country, "entity": entity, "customerType": customer_type}
            for country in self.countries
            for entity in self.entities
            for customer_type in self.customer_types
        ]


_ITALIAN_TESTS = ("IT00000000000", "IT12345678901")
_INDIVIDUAL = ("individual",)
_EU_VAT: Mapping[str, str] = {
    "at": r"ATU\d{8}",
    "bg": r"BG\d{9,10}",
    "hr": r"HR\d{11}",
    "cy": r"CY\d{8}[A-Z]",
    "cz": r"CZ\d{8,10}",
    "dk": r"DK\d{8}",
    "ee": r"EE\d{9}",
    "fi": r"FI\d{8}",
    "hu": r"HU\d{8}",
    "ie": r"IE\d[A-Z0-9+*]\d{5}[A-Z]{1,2}",
    "lv": r"LV\d{11}",
    "lt": r"LT(\d{9}|\d{12})",
    "lu": r"LU\d{8}",
    "mt": r"MT\d{8}",
    "nl": r"NL\d{9}B\d{2}",
    "pl": r"PL\d{10}",
    "pt": r"PT\d{9}",
    "ro": r"RO\d{2,10}",
    "sk": r"SK\d{10}",
    "si": r"SI\d{8}",
    "es": r"ES[A-Z0-9]\d{7}[A-Z0-9]",
    "se": r"SE\d{12}",
}
TYPES: Mapping[str, TaxType] = {
    **{name: TaxType(pattern, (name.upper(),)) for name, pattern in _EU_VAT.items()},
    "be": TaxType(r"BE[01]\d{9}", ("BE",), test_values=("BE0000000000", "BE1234567890")),
    "de": TaxType(r"DE\d{9}", ("DE",), test_values=("DE000000000", "DE123456789")),
    "fr": TaxType(r"FR[A-Z0-9]{2}\d{9}", ("FR", "MC")),
    "gr": TaxType(r"(EL|GR)\d{9}", ("GR",)),
    "it": TaxType(r"IT\d{11}", ("IT",), test_values=_ITALIAN_TESTS),
    "is": TaxType(r"(IS)?\d{5,6}", ("IS",)),
    "no": TaxType(r"(NO)?\d{9}(MVA)?", ("NO",)),
    "ch": TaxType(r"CHE-?\d{3}\.?\d{3}\.?\d{3}( ?(MWST|TVA|IVA))?", ("CH",)),
    "uk": TaxType(r"GB(\d{9}|\d{12}|GD\d{3}|HA\d{3})", ("GB", "IM"), (_IRELAND, _UK)),
    "it_cf": TaxType(r"[A-Z0-9]{16}", ("IT",), customer_types=_INDIVIDUAL),
    "it_natural": TaxType(r"IT\d{11}", ("IT",), customer_types=_INDIVIDUAL, test_values=_ITALIAN_TESTS),
    "pt_nif": TaxType(r"(PT)?\d{9}", ("PT",), customer_types=_INDIVIDUAL),
    "mx_natural": TaxType(r"[A-Z&Ñ]{4}\d{6}[A-Z0-9]{3}", ("MX",), customer_types=_INDIVIDUAL),
    "mx": TaxType(r"[A-Z&Ñ]{3}\d{6}[A-Z0-9]{3}", ("MX",)),
    "cl": TaxType(r"\d{7,8}-?[0-9K]", ("CL",), customer_types=("individual", "business")),
    "co": TaxType(r"\d{9,10}(-?\d)?", ("CO",)),
    "ca": TaxType(r"\d{9}(RT\d{4})?", ("CA",), (_IRELAND, _GLOBALTECH)),
    "br": TaxType(r"\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}", ("BR",), (_BRAZIL,)),
    "br_ie": TaxType(r"[\d./-]{8,18}|ISENTO", ("BR",), (_BRAZIL,)),
    "br_natural": TaxType(r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", ("BR",), (_BRAZIL,), _INDIVIDUAL),
    "au": TaxType(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", ("AU",)),
    "nz": TaxType(r"\d{8,9}", ("NZ",)),
    "sg": TaxType(r"[A-Z0-9]{9,10}(-?[A-Z0-9])?", ("SG",)),
    "my": TaxType(r"[A-Z0-9-]{8,17}", ("MY",)),
    "th": TaxType(r"\d{13}", ("TH",)),
    "ph": TaxType(r"\d{3}-?\d{3}-?\d{3}(-?\d{3,5})?", ("PH",)),
    "id": TaxType(r"\d{2}\.?\d{3}\.?\d{3}\.?\d-?\d{3}\.?\d{3}", ("ID",)),
    "in": TaxType(r"\d{2}[A-Z]{5}\d{4}[A-Z][A-Z0-9]Z[A-Z0-9]", ("IN",)),
    "jp": TaxType(r"T?\d{13}", ("JP",), (_JAPAN,)),
    "jp_offshore": TaxType(r"T?\d{13}", ("JP",)),
    "kr_offshore": TaxType(r"\d{3}-?\d{2}-?\d{5}", ("KR",)),
    "tw": TaxType(r"\d{8}", ("TW",), (_TAIWAN,)),
    "tw_offshore": TaxType(r"\d{8}", ("TW",)),
    "ae": TaxType(r"\d{15}", ("AE",)),
    "sa": TaxType(r"\d{15}", ("SA",)),
    "bh": TaxType(r"\d{15}", ("BH",)),
    "za": TaxType(r"4\d{9}", ("ZA",)),
    "by": TaxType(r"\d{9}", ("BY",)),
    "ua": TaxType(r"\d{8,12}", ("UA",)),
    "tr": TaxType(r"\d{10}", ("TR",)),
    "ru": TaxType(r"\d{10}", ("RU",)),
    "ru_natural": TaxType(r"\d{12}", ("RU",), customer_types=_INDIVIDUAL),
    "ke": TaxType(r"[AP]\d{9}[A-Z]", ("KE",)),
}
