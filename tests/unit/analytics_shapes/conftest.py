"""Scenes in which the relation between what was and what is now is known."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
