"""Painting a mask by hand: shapes, tools, the editable mask and its undo history."""
