"""What every call of the Digital River API passes: call log, authorization, faults."""
