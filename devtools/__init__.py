"""What only a developer's machine needs: an embedded PostgreSQL and `portal dev`. Production never has it."""
