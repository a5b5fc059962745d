"""What goes wrong around a step: bad input, interrupts, lack of memory, processes and threads. docs/faults.md is the list."""
