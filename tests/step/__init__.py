"""What an optimizer does: the whole step, the ways to take it, groups, schedules, and single optimizers with ways of their own."""
