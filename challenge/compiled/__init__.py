"""A model as numbers to look up: grid, table, encoder, trees."""
