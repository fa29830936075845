"""The flights to train on: read, counted, split, and the sample flights."""
