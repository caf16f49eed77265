"""Generated orders that no shop would send, but that the tolerant models accept."""

import types
import typing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from hypothesis import strategies as st
from pydantic import BaseModel

WORDS = (
    *("pending_payment", "in_review", "accepted", "fulfilled", "complete", "returned", "cancelled"),
    *("blocked", "dispute", "passed", "review_opened", "pending", "capturable", "failed", "created", "paid"),
    *("pending_information", "succeeded", "expired", "requires_source", "pending_funds", "USD", "JPY", "KWD"),
    *("creditCard", "googlePay", "moonPayLater", "", "javascript:alert(1)", "https://[", "http://a.test/x"),
)
TEXT = st.sampled_from(WORDS) | st.text(max_size=12)
NUMBERS = (
    st.integers(-(10**18), 10**18)
    | st.decimals(allow_nan=False, allow_infinity=False).map(str)
    | st.floats(allow_nan=False, allow_infinity=False)
)
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)


def payloads(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with any of the fields that the model reads, under the names that it reads."""
    fields = {
        field.alias or name: _values(field.annotation)
        for name, field in model.model_fields.items()
        if name != "id"
    }
    return st.fixed_dictionaries({"id": TEXT}, optional=fields)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return payloads(kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _values(inner[0])
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(_values(one) for one in inner))
    if origin is tuple:
        return st.lists(_values(inner[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(TEXT, _values(inner[1]), max_size=3)
    return _PLAIN[kind]


_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT | st.integers(),
    int: st.integers() | st.integers(0, 9).map(str),
    bool: st.booleans(),
    Decimal: NUMBERS,
    datetime: MOMENTS,
    Any: TEXT,
    type(None): st.none(),
}
