"""Synthesis: a subject and an entry of the bank become a picture."""
