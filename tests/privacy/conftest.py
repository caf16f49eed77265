"""The same buyers as for their profiles."""

from tests.customers.conftest import ada, eve, support

__all__ = ["ada", "eve", "support"]
