"""Runs of many images: job files, plans, resuming, execution, the record and the report."""
