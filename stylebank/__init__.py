"""Styles as sets of Gaussians, kept in a bank of HDF5 files.

This package loads neither Keras nor TensorFlow: it opens, lists, checks and changes banks in
milliseconds. Measuring paintings and making pictures is `pipeline`'s.
"""

from .bank import Bank
from .errors import StylebankError
from .style import Fingerprint, Gaussian, Header, Source, Style

__version__ = "0.1.0"
__all__ = ["Bank", "Fingerprint", "Gaussian", "Header", "Source", "Style", "StylebankError", "__version__"]
