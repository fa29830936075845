"""What a classifier sees of flights: feature sets, and flights as counts."""
