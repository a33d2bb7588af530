"""Programs that measure the service: what it holds out against, and how fast it is."""
