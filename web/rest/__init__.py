"""The canonical API, one module a noun."""
