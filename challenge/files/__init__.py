"""Files of flights: where they are, how they are read, answered and ranked."""
