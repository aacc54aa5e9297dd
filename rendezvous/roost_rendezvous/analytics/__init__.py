"""Meta-analytics: what is normal, what changed, and why (the book's chapters 3, 5 and 7).

Pure cores with time as an argument, each usable alone on rows from a file; numpy is imported by the modules that
compute with it, never by this one: the rendezvous server stays without it.
"""
