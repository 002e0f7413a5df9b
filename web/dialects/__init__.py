"""Front doors for other clients than those of the canonical API.

A dialect parses a request, calls a verb of a service, and presents what came of it. It decides
nothing: what is allowed, who sees what and how long things live is the services' to say.
"""
