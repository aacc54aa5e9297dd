"""The `model.py` of the bundles without a network; the recipes copy them into the bundle as they are."""
