"""The sandbox is held against Digital River's own documents."""
