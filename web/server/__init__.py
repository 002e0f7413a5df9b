"""The HTTP server: gunicorn's threads, given only to requests that have arrived.

The main loop waits for clients, threads do not: a slow head, a slow small body, a slow reader of a
small answer and a refused body cost a socket and some memory. What has to hold a thread, a large
body or a large answer, has a deadline. Knows nothing of Flask; made for gunicorn 27.0.1, whose
methods that are overridden each module names.
"""
