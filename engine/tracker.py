"""The tracker: one `step` per frame (the Python API; the CLI and the session use nothing else)."""

from __future__ import annotations

from collections.abc import Collection

from engine.types import Frame, Mask, SegmentationResult


class Tracker:
    """Carries masks from frame to frame. Not thread-safe: one thread owns it."""

    def step(self, frame: Frame, mask: Mask | None = None, *, touched: Collection[int] | None = None) -> SegmentationResult:
        """Segment `frame`; with `mask`, `frame` becomes (or replaces) a keyframe.

        Args:
            frame: any frame; indices may jump (corrections in the past, backward tracking, dropped live frames).
            mask: H x W uint8 object ids given by the user for this frame.
            touched: ids the user meant with `mask`; None means every id in `mask` and every id known so far. Objects
                that are not touched keep their state; their pixels in `mask` are taken over as shown.

        Returns:
            The frame with its mask. For a keyframe the mask is the user's own, byte for byte.

        Raises:
            MaskError: the first step came without a mask, or `mask` holds no object and none is known.
            SizeMismatchError: `mask` has another size than `frame`.
            DeviceError: out of memory.
        """
        raise NotImplementedError

    def delete_object(self, object_id: int) -> None:
        """Remove an object from every reference; its pixels count as background from now on."""
        raise NotImplementedError

    def forget_keyframe(self, frame_index: int) -> None:
        """Remove a keyframe from memory (no-op when it is none)."""
        raise NotImplementedError

    def forget_tracked(self) -> None:
        """Drop every recent (tracked) reference; keyframes stay."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget everything; keeps the model and the allocated memory."""
        raise NotImplementedError

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Known object ids, ascending."""
        raise NotImplementedError

    @property
    def bank_bytes(self) -> int:
        """Bytes of the preallocated memory bank (0 before the first step)."""
        raise NotImplementedError

    @property
    def bank_frames(self) -> tuple[int, int]:
        """(keyframes, recent frames) held now."""
        raise NotImplementedError

    @property
    def working_size(self) -> tuple[int, int] | None:
        """(width, height) the embedder sees, None before the first step."""
        raise NotImplementedError

    @property
    def device_text(self) -> str:
        """Such as "cpu (bf16)" or "cuda:0 NVIDIA H100 (fp16)"."""
        raise NotImplementedError
