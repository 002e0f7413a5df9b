"""From a clone to a running service: the `run` command, its packages, processes and checks.

Knows nothing of uploads: the processes are commands, their settings are environment variables.
"""
