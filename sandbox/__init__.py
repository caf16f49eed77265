"""A Digital River made of cardboard: an independent reading of its documents. Shares no code with `app`."""
