"""`python -m roost_edge.demo`."""

import sys

from roost_edge.demo.main import main

sys.exit(main())
