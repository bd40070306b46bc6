"""Distances between activations, and the objective made of them."""
