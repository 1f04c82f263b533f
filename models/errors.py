"""The one base class of every error that is shown to the user."""


class UserError(Exception):
    """A failure the user can act on.

    Attributes:
        message: one clear sentence that says what went wrong (ends with a full stop).
        way_out: one sentence that says what to do about it, or "".

    The command line prints ``str(error)`` to stderr and exits with code 2; the window shows it as a notice.
    """

    def __init__(self, message: str, way_out: str = "") -> None:
        super().__init__(f"{message} {way_out}".strip())
        self.message = message
        self.way_out = way_out


class ModelError(UserError):
    """A model is unknown, cannot be downloaded, read or used for tracking."""
