"""The caller of a request: a customer, an operator, or both."""

from dataclasses import dataclass

from app.ids import CustomerId
from app.web.problems import Forbidden


@dataclass(frozen=True)
class Principal:
    """The caller that a verified token names.

    `customer_id` is None if the token holds no valid customer id. An operator's token may hold none.
    """

    customer_id: CustomerId | None
    subject: str
    scopes: frozenset[str]

    @property
    def name(self) -> str:
        """The same for every request of one caller; the quota of a caller is counted under this name."""
        return f"subject {self.subject}" if self.customer_id is None else f"customer {self.customer_id}"


def get_customer_id(principal: Principal) -> CustomerId:
    """The customer who is calling.

    Raises:
        Forbidden: the token names no customer.
    """
    if principal.customer_id is None:
        raise Forbidden("You are signed in, but not as a customer.")
    return principal.customer_id
