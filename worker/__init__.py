"""Celery: from the last byte to the file.

The worker claims jobs, takes uploads through the pipeline and tells the world how it ended. It
meets the web only in `shared`; Pillow is imported by `worker/decoder.py` alone, which runs as a
process of its own.
"""
