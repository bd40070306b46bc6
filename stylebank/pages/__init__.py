"""HTML pages about a bank."""
