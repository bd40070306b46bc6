"""HTML pages about a bank: a gallery and a map."""
