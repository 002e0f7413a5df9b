"""Every fault at every point (D2): what was acknowledged is there, and one recovery ends every job."""

import pytest

from tests.drills.lanes import a_sample, those, try_all

_SHORT_CELLS = 200
_SEEDS = 3

# What is turned off, the cells where that matters, and what is broken then.
TEETH = [
    ("bytes-not-synced", "text/complete:records.commit#1/before/power/*", "I1"),
    ("names-not-synced", "text/complete:records.commit#1/before/power/*", "I1"),
    ("unknown-means-no", "text/put-*:records.commit#1/after/away/down", "I1"),
    ("staging-cleared-early", "text/work:records.commit#*/before/exit/once", "I1"),
    ("keys-not-remembered", "text/open:records.commit#1/after/exit/once", "I2"),
    ("intents-not-written", "wrong/work:objects.put_part#1/after/exit/once", "I3"),
    ("objects-left", "wrong/work:objects.put_part#1/after/exit/once", "I3"),
    ("no-reconciler", "text/work:records.begin#3/before/exit/once", "I5"),
    ("sent-cleared-early", "direct/work:records.commit#*/before/exit/once", "I1"),
    ("etags-forgotten", "spoiled/open:records.begin#1/before/away/once", "I5"),
    ("leftovers-kept", "parted/work:objects.delete_seen#1/before/exit/once", "I3"),
    ("nobody-adopts", "adopted/send-0:client.send#1/after/exit/once", "I5"),
    ("sealed-afterwards", "resumed/patch-1:records.commit#1/after/exit/once", "I5"),
    ("room-not-released", "cancelled/cancel:staging.clear#1/after/exit/once", "I8"),
    ("own-object-not-known", "replaced/work:objects.complete_multipart#1/after/dup/once", "I7"),
    ("own-object-not-known", "retouched/work:objects.put#4/after/dup/once", "I7"),
    ("replaced-room-kept", "replaced/work:objects.complete_multipart#1/after/exit/once", "I8"),
    ("old-thumbnails-kept", "retouched/work:objects.put#*/after/exit/once", "I3"),
    ("objects-left", "unsized/start:objects.begin_parts#1/after/exit/once", "I3"),
    ("nobody-adopts", "formed/post:client.post#1/after/exit/once", "I5"),
    ("revoked-in-two-steps", "revoked/revoke:records.commit#1/after/exit/once", "I5"),
    ("links-not-noted", "withdrawn/late:client.late#1/after/exit/once", "I3"),
    ("nobody-weighs", "weighed/weigh:worker.weigh#1/after/exit/once", "I5"),
    ("unfenced", "text/work:records.begin#3/before/robbed/once", "I10"),
]


@pytest.mark.measures  # a cell that takes long is a breach
@pytest.mark.timeout(3 * 3600)
def test_no_fault_at_any_point_loses_doubles_or_strands_anything(
    seed: int, *, is_long: bool
) -> None:
    for each in range(seed, seed + (_SEEDS if is_long else 1)):
        report = try_all(list if is_long else a_sample(_SHORT_CELLS, each), each)

        print(f"seed {each}: {report}", *report.breaches[:50], sep="\n")
        assert report.missed == []
        assert report.breaches == []


@pytest.mark.parametrize(("sabotage", "cells", "broken"), TEETH)
@pytest.mark.teeth
def test_without_its_defence_the_drill_goes_red(sabotage: str, cells: str, broken: str) -> None:
    kinds = [cells.partition("/")[0]]
    sound = try_all(those(cells), 1, kinds=kinds)
    report = try_all(those(cells), 1, sabotage=sabotage, kinds=kinds)

    assert sound.cells > 0
    assert sound.breaches == []
    assert any(f" {broken}: " in each for each in report.breaches), report.breaches
