"""Tests of the sandbox against Digital River's own documents."""
