"""Embedders: networks that turn a frame into a stride-8 embedding. Knows tensors, nothing of video, memory or Qt."""
