"""What an optimizer is made of: nests, tensors, groups and options, what is checked, and the lock.

Who lives here knows no optimizer by name, and imports ``_core``, ``numerics`` and ``schedules``.
"""
