"""Results of commands as text and tables."""
