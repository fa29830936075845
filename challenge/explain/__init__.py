"""Why a flight has its probability: Shapley values, past flights like it, words."""
