"""A feed with a clock of its own, and a practise service beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
