"""Metadata: pairs of key and value, with Digital River's limits."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from sandbox.errors import bad_request
from sandbox.json_types import Json

# Digital River, Working with metadata.
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 20, 40, 500


def merged_metadata(before: object, changes: object) -> Json:
    """Merge keys into the existing ones; `""` deletes a key. Raises the documented 400s for invalid pairs."""
    if not isinstance(changes, Mapping):
        raise bad_request("invalid_metadata_value", "metadata", "The metadata is not an object.")
    for key, value in changes.items():
        _check_pair(str(key), value)
    kept = dict(before) if isinstance(before, Mapping) else {}
    merged = {key: value for key, value in (kept | dict(changes)).items() if value != ""}
    if len(merged) > _MOST_PAIRS:
        raise bad_request("too_many_metadata_pairs", "metadata", "At most 20 metadata pairs are allowed.")
    return merged


def _check_pair(key: str, value: Any) -> None:
    def reject(code: str, message: str) -> NoReturn:
        raise bad_request(code, f"metadata.{key}", message)

    if not key or len(key) > _LONGEST_KEY:
        reject("invalid_metadata_key", f"'{key}' is not a valid metadata key.")
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > _LONGEST_VALUE:
        reject("invalid_metadata_value", f"The metadata value of '{key}' is too long.")
