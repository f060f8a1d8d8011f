"""The command line: it hands each command over to its file in `commands`."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from unconfound.visible import visible

ABOUT = {
    "demo": "train encoders on built-in data, mend them, and report how much each relies on the background",
    "fit": "train an encoder: unconfound fit METHOD --data DATA --out RUN",
    "compare": "recipes x seeds as one table: unconfound compare RECIPE RECIPE ... --seeds 0 1 2",
    "evaluate": "measure the encoders of runs: unconfound evaluate RUN [RUN ...]",
    "audit": "measure any encoder, or embeddings alone: unconfound audit ENCODER --data DATA",
    "mend": "make a run that relies less on the background: unconfound mend RUN",
    "embed": "write embeddings of new data: unconfound embed RUN DATA --out FILE.parquet",
    "index": "keep embeddings for searching: unconfound index RUN DATA --out INDEX",
    "search": "find the nearest items: unconfound search INDEX QUERY [QUERY ...]",
    "export": "write an encoder for other programs: unconfound export RUN --out FILE.onnx",
    "list": "methods, encoders, data sets, recipes and comparisons: unconfound list [methods] [images]",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 after a user's mistake, which is one line on the terminal.

    A command that is stopped returns 130 (Ctrl-C) or 143 (SIGTERM). With UNCONFOUND_TRACEBACK=1 in the environment the
    whole traceback is shown.
    """
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if name in ("-h", "--help"):
            _print_usage()
        elif name == "--version":
            from unconfound import __version__

            print(f"unconfound {__version__}")
        elif name in ABOUT:
            import_module(f"unconfound.commands.{name}").command(rest)
        else:
            from unconfound.suggestions import nearest_name

            raise ValueError(f"unknown command {name!r}: {nearest_name(name, ABOUT)}")
    except BrokenPipeError:
        # `unconfound list | head`: the reader has seen enough. Nothing more may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError) as error:
        if os.environ.get("UNCONFOUND_TRACEBACK"):
            raise
        advice = ""
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            advice = ": free some space, then go on with the same command and --resume"
        print(f"unconfound: error: {visible(' '.join(str(error).split()))}{advice}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:
        print("unconfound: stopped", file=sys.stderr)
        # As a shell has it: 130 after Ctrl-C, 143 after a scheduler's SIGTERM.
        return 128 + int(getattr(stopped, "number", signal.SIGINT))
    return 0


def _print_usage() -> None:
    print("usage: unconfound COMMAND ...\n")
    print("Learn what a sample is, not where it stands, and show whether it worked.\n")
    print("\n".join(f"  {name:<10}{about}" for name, about in ABOUT.items()))
    print("\nHelp on a command: unconfound COMMAND --help. A first look, in a few minutes: unconfound demo")


if __name__ == "__main__":
    sys.exit(main())
