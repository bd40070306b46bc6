"""Gaussians in float64 NumPy: distances, barycentres, embeddings."""
