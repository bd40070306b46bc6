"""First stage: a painting becomes an entry of the bank."""
