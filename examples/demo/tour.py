"""Shows what Lateen does, on Bookinfo: what `make demo` runs.

In a terminal it walks through the steps at a pace that people can follow, and stays up until Ctrl-C. Elsewhere it walks
through them once, as fast as they can be checked. Exit status: 0 if traffic did what every step promises, 1 if not, 130
if it was interrupted before. Whatever ends it, nothing of its mesh is left.
"""

import argparse
import asyncio
import signal
import sys

_PLAIN_WIDTH = 120


def main() -> int:
    """Run the tour; the exit status."""
    # Until there is something to clear away, Ctrl-C simply ends us: the imports take a moment.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = _mesh_name()
    import show
    from rich.console import Console

    if sys.stdout.isatty():
        console = Console(force_terminal=True, highlight=False)
    else:
        console = Console(force_terminal=False, no_color=True, highlight=False, width=_PLAIN_WIDTH)
    return asyncio.run(show.run(console, name))


def _mesh_name() -> str:
    parser = argparse.ArgumentParser(description="Shows what Lateen does, on Bookinfo, and checks it.")
    parser.add_argument("--name", default="demo", metavar="MESH", help="the name of its mesh (default: %(default)s)")
    return str(parser.parse_args().name)


if __name__ == "__main__":
    sys.exit(main())
