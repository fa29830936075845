"""How good a model is, was, or would be."""
