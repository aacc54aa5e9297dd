"""The models of a compact device: forked from one process that has imported for all of them."""
