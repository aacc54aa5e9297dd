"""`python -m roost_edge.demo_loop`."""

import sys

from roost_edge.demo_loop.main import main

if __name__ == "__main__":
    sys.exit(main())
