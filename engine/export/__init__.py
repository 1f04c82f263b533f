"""Everything that leaves the program: the formats, and the runner that makes any of them whole or not at all."""
