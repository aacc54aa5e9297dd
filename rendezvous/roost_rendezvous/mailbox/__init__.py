"""The pure core: a mailbox for each request, and exactly one official answer out of each, in time."""
