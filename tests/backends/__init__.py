"""Tests of the layer around Keras."""
