"""Where pictures are computed: this process, several processes, or a Dask cluster."""
