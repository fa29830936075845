"""The file of a model: its card, safe reading, atomic writing."""
