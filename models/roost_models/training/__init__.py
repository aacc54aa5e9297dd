"""Training: a head on a frozen backbone in numpy, or a whole network; the result is a bundle."""
