"""Training of the embedding networks: data, loss, loop (ALGORITHM: section 6).

`engine.commands.train` is the way in. Importing this package imports nothing slow.
"""
