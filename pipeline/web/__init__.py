"""The page of `stylebank serve`: a server for one user, its queue on disk, and the process that computes."""
