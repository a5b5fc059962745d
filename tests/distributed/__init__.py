"""Optimizers that are cut among ranks: their bits, files and failures, in threads of one process, and over MPI where it is installed."""
