"""Why a start or a command cannot go on, in one line for the terminal."""


class Refused(Exception):
    """The message names what is wrong and what to change; it is shown without a traceback."""
