"""Matrices of which `make test` runs a part."""

from collections.abc import Iterable
from typing import Any

import pytest


def proofs_except(quick: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """All cases for `parametrize`; those that are not among the quick ones are proofs."""
    kept = list(quick)
    return [case if case in kept else pytest.param(case, marks=pytest.mark.proof) for case in cases]
