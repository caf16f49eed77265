"""The far side: one transport, its errors, tolerant models, and a short module of calls per resource."""
