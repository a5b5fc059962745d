"""What the figures of the gallery claim holds in the data that they draw."""
