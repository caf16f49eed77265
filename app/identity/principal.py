"""The one answer to "who is calling?": a customer, an operator, or both."""

from dataclasses import dataclass

from app.ids import CustomerId
from app.web.problems import Forbidden


@dataclass(frozen=True)
class Principal:
    """Who a verified token speaks for.

    `customer_id` is None when the token names no possible Digital River customer, as an operator's may not.
    """

    customer_id: CustomerId | None
    subject: str
    scopes: frozenset[str]

    @property
    def name(self) -> str:
        """Tells callers apart, whether they are customers or not."""
        return f"subject {self.subject}" if self.customer_id is None else f"customer {self.customer_id}"


def customer_of(principal: Principal) -> CustomerId:
    """The customer who is calling.

    Raises:
        Forbidden: the token names none.
    """
    if principal.customer_id is None:
        raise Forbidden("You are signed in, but not as a customer.")
    return principal.customer_id
