"""`./run COMMAND`: the command line, with the settings of this data folder."""

import os

from cli.main import main as command_line
from tools import embedded
from tools.refusal import Refused


def main() -> None:
    """Run the command that the arguments name."""
    try:
        found = embedded.load()
    except Refused as refusal:
        raise SystemExit(f"sluice: {refusal}") from None
    os.environ.update(found.variables)
    for name in found.withheld:
        os.environ.pop(name, None)
    command_line()


if __name__ == "__main__":
    main()
