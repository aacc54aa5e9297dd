"""Bringing a bundle to a fleet: the signed document, who is in which cohort, when the next step may be taken."""
