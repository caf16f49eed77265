"""The parts of the benchmark. Each starts its own processes on a fresh database, and adds its rows."""
