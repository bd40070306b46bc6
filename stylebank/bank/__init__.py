"""A bank of styles: a folder with one HDF5 file per style."""

from .bank import Bank
from .location import default_folder

__all__ = ["Bank", "default_folder"]
