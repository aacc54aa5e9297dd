"""Becomes another program that the kernel kills when we end: `python -m roost_edge.demo_loop.tethered PID PROGRAM …`.

A demo that is killed with -9 must leave no server behind.
"""

import os
import sys

from roost_edge.processes.own_process import die_with_parent


def main(arguments: list[str]) -> None:
    """Does not return."""
    parent, program, *rest = arguments
    die_with_parent(int(parent))
    os.execvp(program, [program, *rest])  # noqa: S606  # an argument list, no shell; what is run is the demo's own choice


if __name__ == "__main__":
    main(sys.argv[1:])
