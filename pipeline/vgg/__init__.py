"""VGG-19: its weights and its layers."""
