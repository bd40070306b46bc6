"""Image files: decoding, colour profiles, metadata and encoding. Pixels are float32, sRGB, 0..255."""

from .convert import LABEL, to_picture, to_pillow, to_values
from .decode import MAX_BYTES, MAX_PIXELS, SMALLEST_SIDE, load, shown_size
from .encode import DEEP_FORMATS, DEPTHS, WRITE_FORMATS
from .exif import Metadata
from .io import ANIMATION_FORMATS, READ_SUFFIXES, check_depth, format_of, save, save_animation
from .lossy import is_lossy
from .picture import Picture, Pixels
from .plugins import READ_FORMATS
from .transform import RESAMPLING, alpha_at, composite_on_white, crop_to_shape, fit, resize, thumbnail, to_uint8

__all__ = [
    "ANIMATION_FORMATS",
    "DEEP_FORMATS",
    "DEPTHS",
    "LABEL",
    "MAX_BYTES",
    "MAX_PIXELS",
    "READ_FORMATS",
    "READ_SUFFIXES",
    "RESAMPLING",
    "SMALLEST_SIDE",
    "WRITE_FORMATS",
    "Metadata",
    "Picture",
    "Pixels",
    "alpha_at",
    "check_depth",
    "composite_on_white",
    "crop_to_shape",
    "fit",
    "format_of",
    "is_lossy",
    "load",
    "resize",
    "save",
    "save_animation",
    "shown_size",
    "thumbnail",
    "to_picture",
    "to_pillow",
    "to_uint8",
    "to_values",
]
