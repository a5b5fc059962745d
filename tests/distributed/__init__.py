"""Optimizers that are cut among ranks: their bits, files and failures, in threads, and over MPI where it is installed."""
