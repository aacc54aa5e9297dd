"""Notices to people's own services (telephone, mail, chat …) through apprise: an optional role of its own."""
