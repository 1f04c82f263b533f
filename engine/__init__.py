"""The tracking engine: propagation, video, runtime, projects, evaluation, training. Importable without PyQt6."""
