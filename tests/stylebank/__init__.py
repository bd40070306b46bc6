"""Stylebank."""
