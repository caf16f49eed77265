"""Validates request bodies as strictly as Digital River does, with its error codes.

One response may report several errors (Digital River docs, errors). `raise_errors` raises them together.
"""

import json
import re
from collections.abc import Collection
from decimal import Decimal

from starlette.requests import Request

from sandbox.commerce.money import find_decimal
from sandbox.errors import ApiError, ErrorDetail
from sandbox.json_types import Json
from sandbox.state.clock import find_time

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_LOCALE = re.compile(r"[a-z]{2,3}[_-][A-Z]{2}")


async def read_json(request: Request) -> Json:
    """The body as an object. Raises 400 `invalid_request` for anything else."""
    raw = await request.body()
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, ErrorDetail("The request body is not a valid JSON object.", "invalid_request"))
    return body


class BodyValidator:
    """Validates one body, or one object inside it. `path` is the path of that object (`shipping.address`).

    `body` holds the members to store: without nulls, because null means absent, and with ids as text.
    """

    def __init__(self, body: Json, known: Collection[str], *, path: str = "") -> None:
        self.body = {name: value for name, value in body.items() if value is not None}
        self.path = path
        self.errors = [
            ErrorDetail(f"'{name}' is an unknown parameter.", "unknown_parameter", self.path_of(name))
            for name in body
            if name not in known
        ]

    def path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def add_error(self, name: str, message: str, code: str = "invalid_parameter") -> None:
        self.errors.append(ErrorDetail(message, code, self.path_of(name)))

    def reject_value(self, name: str) -> None:
        self.add_error(name, f"'{self.body.get(name)}' is not a valid {name}.")

    def require(self, *names: str) -> None:
        for name in names:
            if self.body.get(name) in (None, "", []):
                self.add_error(name, f"'{self.path_of(name)}' is required.", "missing_parameter")

    def text(self, name: str, *, longest: int | None = None) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        # The docs' samples send ids as numbers.
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or (longest is not None and len(value) > longest):
            self.reject_value(name)
            return None
        self.body[name] = value
        return value

    def one_of(self, name: str, allowed: Collection[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            self.reject_value(name)
        return value

    def email(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not _EMAIL.fullmatch(value):
            self.reject_value(name)
        return value

    def locale(self, name: str) -> str | None:
        """`ll_CC` or `ll-CC`, returned as `ll_CC`."""
        value = self.text(name)
        if value is None:
            return None
        if not _LOCALE.fullmatch(value):
            self.reject_value(name)
        return value.replace("-", "_")

    def boolean(self, name: str) -> bool | None:
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            self.add_error(name, f"'{value}' is not a valid boolean.", "invalid_boolean")
            return None
        return value

    def number(self, name: str) -> Decimal | None:
        value = self.body.get(name)
        if value is None:
            return None
        number = find_decimal(value)
        if number is None:
            self.reject_value(name)
        return number

    def non_negative_number(self, name: str) -> Decimal | None:
        """A number ≥ 0."""
        number = self.number(name)
        if number is not None and number < 0:
            self.reject_value(name)
        return number

    def quantity(self, name: str) -> int:
        """A whole number ≥ 0, also as text (`"2"`). 0 if absent."""
        number = self.number(name)
        if number is None:
            return 0
        if number != number.to_integral_value() or number < 0:
            self.reject_value(name)
            return 0
        return int(number)

    def timestamp(self, name: str) -> str | None:
        value = self.body.get(name)
        if value is not None and find_time(value) is None:
            self.reject_value(name)
        return value if isinstance(value, str) else None

    def nested(self, name: str, known: Collection[str]) -> "BodyValidator | None":
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.reject_value(name)
            return None
        inner = BodyValidator(value, known, path=self.path_of(name))
        self.body[name] = inner.body
        return inner

    def objects(self, name: str) -> list[Json]:
        """A list of objects. Empty if absent."""
        value = self.body.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.add_error(name, f"'{self.path_of(name)}' is not a list of objects.")
            return []
        return value

    def merge_errors(self, inner: "BodyValidator | None") -> None:
        if inner is not None:
            self.errors.extend(inner.errors)

    def raise_errors(self) -> None:
        if self.errors:
            raise ApiError(400, *self.errors)
