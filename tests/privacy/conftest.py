"""The buyers of the customers' tests."""

from tests.customers.conftest import ada, eve, support

__all__ = ["ada", "eve", "support"]
