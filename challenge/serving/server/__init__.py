"""The server's processes: connections, workers, and the memory that they share."""
