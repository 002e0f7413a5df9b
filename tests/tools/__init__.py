"""The one command from a clone to a running service: its own rules, and its real stores."""
