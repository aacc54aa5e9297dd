"""Models: bundles, the interpreter, scaffolds, the decoy and its archive, the canary, replay."""
