"""The Flask half: a service that echoes strictly and says which release it is."""
