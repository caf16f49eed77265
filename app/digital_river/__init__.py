"""All communication with Digital River: `api` has a function per call, `client` sends, `models` validate."""
