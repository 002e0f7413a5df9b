"""The steps of the pipeline, one module each: a function from a draft to a draft.

Every step can run twice; a retry starts the pipeline over.
"""
