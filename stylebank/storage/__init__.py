"""The style file: its format, its reader and its writer."""
