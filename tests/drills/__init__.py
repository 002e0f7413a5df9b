"""Drills: the real stack under faults, held against the invariants. `./run drills` runs them long."""
