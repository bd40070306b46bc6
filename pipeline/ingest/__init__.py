"""Ingest: a painting becomes an entry of the bank."""
