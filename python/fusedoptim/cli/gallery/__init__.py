"""``python -m fusedoptim gallery``: what the lecture claims, as figures."""
