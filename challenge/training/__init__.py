"""Training: from a table of past flights to a model in a file."""
