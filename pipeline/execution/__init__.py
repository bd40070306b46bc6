"""Executors of image batches: this process, several processes, or a Dask cluster."""
