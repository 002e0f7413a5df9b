"""Turns defences off in every process of a drill's stack, to see that the drill notices.

Several names have commas between them.

Python imports a module of this name at its start. Only drills have this folder on the path; the
product itself has no such switch.
"""

import os

if names := os.environ.get("SLUICE_SABOTAGE"):
    from tests.drills.sabotages import SABOTAGES

    for each in names.split(","):
        SABOTAGES[each]()
