"""What a run has to do, what is finished, and what is on record."""
