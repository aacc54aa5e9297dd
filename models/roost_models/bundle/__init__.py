"""A model as a thing to hand around: manifest, verification, packing, trying out."""
