"""Alarms: surprises of all monitors turned into a few pages a week, one for each change (the book, ch. 7)."""
