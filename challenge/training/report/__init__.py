"""The report of an evaluation, with its charts."""
