"""Tests of VGG-19 and its weights."""
