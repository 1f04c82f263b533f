"""Label propagation: reference sampling, affinity, memory bank."""
