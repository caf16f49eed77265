"""The shape of every paged list, and its opaque cursors. An altered cursor is a 422 and never a 500."""

import base64
from typing import Generic, TypeVar

from pydantic import BaseModel

from app.web.api_model import ApiModel
from app.web.problems import Invalid

CURSOR_LENGTH = 1024

ItemT = TypeVar("ItemT")
StateT = TypeVar("StateT", bound=BaseModel)


class Page(ApiModel, Generic[ItemT]):
    """One page of a list."""

    data: list[ItemT]
    next_cursor: str | None = None
    """Send it as `cursor` to get the next page. It is null on the last page."""


class PartialPage(Page[ItemT], Generic[ItemT]):
    """One page of a list from Digital River, which may contain entries that we cannot read."""

    unreadable: int
    """The number of entries that are left out of this page because we cannot read them. Usually 0."""


def encode_cursor(model: BaseModel) -> str:
    """The position as opaque text: base64url without padding over compact JSON."""
    return base64.urlsafe_b64encode(model.model_dump_json().encode()).rstrip(b"=").decode()


def decode_cursor(text: str, model_type: type[StateT]) -> StateT:
    """The position in a cursor that `encode_cursor` made.

    A cursor is not signed, because it gives no access: every statement filters by owner.

    Raises:
        Invalid: at `/query/cursor`, if `encode_cursor` cannot have made this text.
    """
    refusal = Invalid.at("/query/cursor", "This cursor is not one that was given out here.")
    if len(text) > CURSOR_LENGTH:
        raise refusal
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        model = model_type.model_validate_json(raw, strict=True, extra="forbid")
    except ValueError:
        raise refusal from None
    # JSON can hold a NUL, but PostgreSQL's text cannot, and no cursor of ours has one.
    if b"\\u0000" in raw or encode_cursor(model) != text:
        raise refusal
    return model
