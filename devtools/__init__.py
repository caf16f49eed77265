"""Tools for a developer's machine: an embedded PostgreSQL and `portal dev`. Production does not have them."""
