"""ESPs, one TOML table each: how a webhook is authenticated and read."""
