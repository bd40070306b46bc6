"""VGG-19: its convolutions, and the files that hold its weights."""
