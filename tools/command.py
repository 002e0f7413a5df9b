"""`./run COMMAND`: the command line, with the settings of this data folder."""

import os

from cli.main import commands
from shared.config import BadSettings
from tools import embedded
from tools.refusal import Refused


def main() -> None:
    """Run the command that the arguments name."""
    try:
        found = embedded.load()
        os.environ.update(found.variables)
        for name in found.withheld:
            os.environ.pop(name, None)
        commands(prog_name="./run")
    except (Refused, BadSettings) as refusal:
        raise SystemExit(f"sluice: {refusal}") from None


if __name__ == "__main__":
    main()
