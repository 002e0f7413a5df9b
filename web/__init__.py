"""HTTP in, HTTP out: parse a request into a value, call one verb of a service, present the answer.

Knows no SQL, no store and no task; reaches workers only through the services.
"""
