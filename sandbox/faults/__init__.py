"""Faults that tests set: failures, delays and wrong data."""
