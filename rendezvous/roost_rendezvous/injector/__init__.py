"""The state injector: external state is added to each request once, between `raw` and `input`. See `role`.

Its settings are part of every device file, so nothing is imported here.
"""
