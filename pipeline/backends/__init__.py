"""Keras and what lies below it: the one place that knows TensorFlow, JAX and PyTorch apart."""
