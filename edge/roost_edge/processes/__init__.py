"""Roles as processes: which there are, starting, watching, restarting and ending them."""
