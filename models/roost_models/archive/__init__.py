"""What every model saw and said, kept: records in SQLite, frames by content."""
