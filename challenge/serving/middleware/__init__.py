"""The middleware of the service."""
