"""Write the bundle of the rule-based model: `python -m roost_henhouse.make_rules`. Nothing is trained."""

import sys
from collections.abc import Sequence

from roost_henhouse.recipe import BUNDLES, EVERY_REQUEST, PYTHON_MODELS, Recipe, make_bundle, recipe_parser, say
from roost_models.bundle.manifest import ImageContract

CONTRACT = ImageContract(width=48, height=36, color="rgb", range="uint8", resize="squeeze", method="box")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bundle. Exit status: 0 done, 2 wrong arguments."""
    parser = recipe_parser("make_rules", "Write the bundle of the rule-based model.", "the committed one")
    options = parser.parse_args(arguments)
    recipe = Recipe(
        name="rules",
        title="henhouse-rules",
        description="The henhouse's rules: thresholds on colours and light, nothing learnt.",
        remarks="The last to be asked and the easiest to understand: blue feathers are a jay, much red is a Rhode "
        "Island Red, grass is an open door. The thresholds were set by looking at rendered stills of seed 3. "
        "Its scores are not probabilities: 0.8 for the first rule that holds.",
        command="python -m roost_henhouse.make_rules",
        engine="python",
        queue=EVERY_REQUEST,
        entry="model.py",
        contract=CONTRACT,
        training={"method": "thresholds set by hand", "seed": 3, "stills": 1400},
    )
    make_bundle(
        options.out or BUNDLES / "rules",
        recipe,
        {"model.py": (PYTHON_MODELS / "rules.py").read_bytes()},
        date=options.date,
        workers=options.workers,
        keep=options.keep,
        report=say,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
