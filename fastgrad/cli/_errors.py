"""What a command raises to end with one line on stderr."""


class UsageError(Exception):
    """An option, or a file that it names, is wrong."""

    exit_code = 2


class Failure(Exception):
    """The command began, and could not be completed."""

    exit_code = 1
