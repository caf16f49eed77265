"""The one answer to "who is calling?": a customer, an operator, or both."""

from dataclasses import dataclass

from app.ids import CustomerId
from app.web.problems import Forbidden, NotFound


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


def own_customer(principal: Principal, named: str) -> CustomerId:
    """The caller's customer id, when `named` is `me` or that same id.

    Raises:
        NotFound: somebody else's, existing or not: the answers must not differ.
        Forbidden: `me`, by a token that names no customer.
    """
    if named in {"me", principal.customer_id}:
        return customer_of(principal)
    raise NotFound
