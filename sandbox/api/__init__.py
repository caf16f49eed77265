"""The Digital River API: one module per resource."""
