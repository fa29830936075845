"""The JSON bodies of requests with flights."""
