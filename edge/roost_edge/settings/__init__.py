"""One TOML file: reading, checking, explaining what is wrong with it, and its schema."""
