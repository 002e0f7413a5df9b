"""Rates: how many requests of one kind a user may make in a time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """What one request did to its user's rate. `resets_in_seconds`: until the oldest is forgotten."""

    name: str
    limit: int
    window_seconds: int
    remaining: int
    resets_in_seconds: int
    is_over: bool
