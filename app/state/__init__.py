"""State of the app that widgets share: the object list and its colours. No painting, no widgets."""
