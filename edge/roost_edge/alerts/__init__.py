"""From results to alerts: what people and home automation want to know, `new`, `update`, `end` for each sighting."""
