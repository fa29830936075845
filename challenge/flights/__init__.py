"""What a flight is: its fields, their rules, and the values that they may have."""
