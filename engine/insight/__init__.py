"""What the affinity knows beside masks: how things move, and where a pixel's label comes from."""
