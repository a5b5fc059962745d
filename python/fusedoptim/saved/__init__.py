"""An optimizer as a dict, as a file, and as a state dict of torch, and back.

Who lives here is given an optimizer, whose class it imports for the type checker alone; else it imports ``_core``,
``schedules`` and ``core``.
"""
