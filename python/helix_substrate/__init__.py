"""HXQ: codebook-compressed checkpoints of neural networks."""

__version__ = "0.4.0"
