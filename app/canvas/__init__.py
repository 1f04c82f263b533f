"""The canvas: shows a frame with its mask and lets the user paint on it."""
