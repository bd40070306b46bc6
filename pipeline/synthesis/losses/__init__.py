"""Distances between activations and styles, and the objective that sums them."""
