"""Places in a customer's list of orders, sealed: naming somebody else's order must tell nothing about it.

Digital River's cursor is an order id. Unsealed, a caller could put any order's id into one and learn from
the answer whether there is such an order.
"""

import hmac
import json
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, SecretStr, StringConstraints

from app.ids import CustomerId, OrderId
from app.web.paging import decode_cursor, encode_cursor
from app.web.problems import Invalid

_SIGNATURE_LENGTH = 32


class _After(BaseModel):
    after: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    seal: Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{_SIGNATURE_LENGTH}}}$")]


def sign_cursor(secret: SecretStr, customer_id: CustomerId, last: str) -> str:
    """The cursor for what follows the order `last` in this customer's list."""
    return encode_cursor(_After(after=last, seal=_signature(secret, customer_id, last)))


def verify_cursor(secret: SecretStr, customer_id: CustomerId, cursor: str) -> OrderId:
    """The order after which the page begins.

    Raises:
        Invalid: at `/query/cursor`, for any cursor that was not given to this customer.
    """
    place = decode_cursor(cursor, _After)
    if not hmac.compare_digest(place.seal, _signature(secret, customer_id, place.after)):
        raise invalid_cursor()
    return OrderId(place.after)


def invalid_cursor() -> Invalid:
    """The refusal of a cursor."""
    return Invalid.at("/query/cursor", "This cursor is not one that was given out here.")


def _signature(secret: SecretStr, customer_id: CustomerId, last: str) -> str:
    # All processes share this secret; its other use has no text that begins like this one.
    text = json.dumps(["orders cursor", customer_id, last]).encode()
    return hmac.new(secret.get_secret_value().encode(), text, sha256).hexdigest()[:_SIGNATURE_LENGTH]
