"""The same three models and the same rule in the peers' own terms: what `scripts/bench peers` starts and asks."""
