"""The subcommands of ``main.py``, one module each: `add_arguments(parser)` and `run(options) -> exit code`.

Importing a command module must be quick: everything slow (torch, cv2, av) is imported inside `run`.
"""
