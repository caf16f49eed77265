"""A local imitation of Digital River, written from its documents. It shares no code with `app`."""
