"""The day of operations: what how flights left lately adds to the answers."""
