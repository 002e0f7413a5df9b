"""Make the file: everything that says so, in one transaction."""

from worker.draft import Draft, Workbench


def record(draft: Draft, bench: Workbench) -> Draft:
    if draft.etag is None:
        raise ValueError("record runs after publish")
    bench.claims.publish(draft.claim, draft.checked().file(draft.claim.upload, draft.etag))
    return draft
