"""Who watches that the house-keeping of pictures runs, and that the card has room; see `watch` for the rules."""
