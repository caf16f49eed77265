"""Tests of the product and of the sandbox. What several folders share stands in `support`."""

import pytest

# Before they are imported: their assertions shall tell what they compared, as those of tests do.
pytest.register_assert_rewrite("tests.support", "tests.journeys.steps", "tests.journeys.system")
