"""Errors the engine raises for the user to read."""

from models.errors import ModelError, UserError


class SourceError(UserError):
    """A video, camera, folder or stream cannot be opened, or ended unexpectedly."""


class MaskError(UserError):
    """A mask file is unreadable, empty, or does not fit the frame."""


class SizeMismatchError(MaskError):
    """A mask has another size than its frame; the caller may offer to resize it.

    Attributes:
        mask_size, frame_size: (width, height) in pixels.
    """

    def __init__(self, mask_size: tuple[int, int], frame_size: tuple[int, int], way_out: str) -> None:
        super().__init__(
            f"The mask is {mask_size[0]} x {mask_size[1]} but the frame is {frame_size[0]} x {frame_size[1]}.", way_out
        )
        self.mask_size = mask_size
        self.frame_size = frame_size


class DeviceError(UserError):
    """The asked-for device is not there or ran out of memory."""


class OutOfMemoryError(DeviceError):
    """Memory ran out in the middle of the work, of the device or of the computer; less may still fit."""


class ExportError(UserError):
    """An export could not be written."""


__all__ = [
    "DeviceError",
    "ExportError",
    "MaskError",
    "ModelError",
    "OutOfMemoryError",
    "SizeMismatchError",
    "SourceError",
    "UserError",
]
