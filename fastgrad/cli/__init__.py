"""The command line: ``python -m fastgrad train``, ``doctor`` and ``warmup``.

Exit codes: 0 done, 1 training failed, 2 an option or a file is wrong, 130 interrupted. Errors are
one line on stderr.
"""

import argparse
import os
import sys

from . import doctor, train, warmup
from ._errors import Failure, UsageError

__all__ = ["main"]

_PROGRAM = "python -m fastgrad"


class _Parser(argparse.ArgumentParser):
    """A parser that leaves the exit to ``main``."""

    def error(self, message):
        raise UsageError(f"{message} (try {self.prog} --help)")


def _parser():
    parser = _Parser(prog=_PROGRAM, description="Train networks on a CPU, fast.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, module in (("train", train), ("doctor", doctor), ("warmup", warmup)):
        summary = module.SUMMARY
        command = commands.add_parser(
            name, help=summary[0].lower() + summary[1:], description=f"{summary}."
        )
        module.add_options(command)
        command.set_defaults(run=module.run)
    return parser


def _version():
    from .._version import __version__

    return f"fastgrad {__version__}"


def main(arguments=None):
    """Run a command line, by default this process's own; returns the exit code.

    ``--help`` and ``--version`` raise ``SystemExit(0)``, as argparse does.

    >>> main(["train", "--hidden", "none"])
    2
    """
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
        if "run" in options:
            options.run(options)
        else:
            parser.print_help()
        sys.stdout.flush()
    except (UsageError, Failure) as error:
        print(f"{_PROGRAM}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{_PROGRAM}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, ``head`` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
