"""One-off conversions of published weights to the files this project ships."""
