"""The middleware of the Digital River API: call log, authorization, faults."""
