"""What is kept: files, state dicts, copies, and torch's state dicts."""
