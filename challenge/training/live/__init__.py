"""The live adjustment, learned from the past replayed as it became known."""
