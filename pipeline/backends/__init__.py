"""The layer around Keras: the only modules that distinguish TensorFlow, JAX and PyTorch."""
