"""What the sandbox stores, and its clock."""
