"""Measuring quality and speed on annotated data sets, with the same tracker as the window."""
