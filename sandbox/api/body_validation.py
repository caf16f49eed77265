"""Reading request bodies as strictly as Digital River does, and complaining in its words.

Several complaints may be reported at once (Digital River docs, errors); `done` raises them together.
"""

import json
import re
from collections.abc import Collection
from decimal import Decimal

from starlette.requests import Request

from sandbox.commerce.money import find_decimal
from sandbox.errors import Complaint, Refusal
from sandbox.json_types import Json
from sandbox.state.clock import find_moment

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
        raise Refusal(400, Complaint("The request body is not a valid JSON object.", "invalid_request"))
    return body


class Form:
    """One body, or one object inside it, being read; `path` is where it stands (`shipping.address`).

    `body` is what is kept: without nulls, which mean the same as nothing, and texts as texts.
    """

    def __init__(self, body: Json, known: Collection[str], *, path: str = "") -> None:
        self.body = {name: value for name, value in body.items() if value is not None}
        self.path = path
        self.complaints = [
            Complaint(f"'{name}' is an unknown parameter.", "unknown_parameter", self.at(name))
            for name in body
            if name not in known
        ]

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def complain(self, name: str, message: str, code: str = "invalid_parameter") -> None:
        self.complaints.append(Complaint(message, code, self.at(name)))

    def refuse_value(self, name: str) -> None:
        self.complain(name, f"'{self.body.get(name)}' is not a valid {name}.")

    def require(self, *names: str) -> None:
        for name in names:
            if self.body.get(name) in (None, "", []):
                self.complain(name, f"'{self.at(name)}' is required.", "missing_parameter")

    def text(self, name: str, *, longest: int | None = None) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        # The docs' samples send ids as numbers.
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or (longest is not None and len(value) > longest):
            self.refuse_value(name)
            return None
        self.body[name] = value
        return value

    def one_of(self, name: str, allowed: Collection[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            self.refuse_value(name)
        return value

    def email(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not _EMAIL.fullmatch(value):
            self.refuse_value(name)
        return value

    def locale(self, name: str) -> str | None:
        """`ll_CC`; both separators are accepted, one is kept."""
        value = self.text(name)
        if value is None:
            return None
        if not _LOCALE.fullmatch(value):
            self.refuse_value(name)
        return value.replace("-", "_")

    def boolean(self, name: str) -> bool | None:
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            self.complain(name, f"'{value}' is not a valid boolean.", "invalid_boolean")
            return None
        return value

    def number(self, name: str) -> Decimal | None:
        value = self.body.get(name)
        if value is None:
            return None
        number = find_decimal(value)
        if number is None:
            self.refuse_value(name)
        return number

    def cost(self, name: str) -> Decimal | None:
        """A number that is not below zero."""
        number = self.number(name)
        if number is not None and number < 0:
            self.refuse_value(name)
        return number

    def quantity(self, name: str) -> int:
        """A whole number ≥ 0, 0 when absent; texts are accepted (`"2"`)."""
        number = self.number(name)
        if number is None:
            return 0
        if number != number.to_integral_value() or number < 0:
            self.refuse_value(name)
            return 0
        return int(number)

    def moment(self, name: str) -> str | None:
        value = self.body.get(name)
        if value is not None and find_moment(value) is None:
            self.refuse_value(name)
        return value if isinstance(value, str) else None

    def nested(self, name: str, known: Collection[str]) -> "Form | None":
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse_value(name)
            return None
        inner = Form(value, known, path=self.at(name))
        self.body[name] = inner.body
        return inner

    def objects(self, name: str) -> list[Json]:
        """A list of objects, empty when absent."""
        value = self.body.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.complain(name, f"'{self.at(name)}' is not a list of objects.")
            return []
        return value

    def absorb(self, inner: "Form | None") -> None:
        if inner is not None:
            self.complaints.extend(inner.complaints)

    def done(self) -> None:
        if self.complaints:
            raise Refusal(400, *self.complaints)
