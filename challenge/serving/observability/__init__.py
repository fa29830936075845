"""The service's log, counters, drift and prediction log."""
