"""A bank of styles: a folder with one HDF5 file per style."""
