"""Optical flow of frames: the affinity's beside OpenCV's, as colours and as .flo files."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import ExportError, SourceError
from engine.types import Frame, Rgb
from engine.video.atomic import temporary_beside

if TYPE_CHECKING:
    import torch

    from engine.tracker import Tracker

_FLO_TAG = 202021.25  # the bytes PIEH

Flow = NDArray[np.float32]  # H x W x 2, displacement (x, y) in pixels


@dataclass(frozen=True, eq=False)
class FrameFlow:
    """Where the pixels of a frame are in another.

    Attributes:
        pixels: H x W x 2 float32, displacements (x, y) in pixels of the frame.
        certainty: h x w float32 in 0..1, per cell; see `engine.propagation.flow.affinity_flow`.
        cell: (width, height) of a cell in pixels of the frame.
    """

    pixels: Flow
    certainty: NDArray[np.float32]
    cell: tuple[float, float]

    def in_cells(self, pixels: float) -> float:
        """A length in pixels as one in cells."""
        return pixels / ((self.cell[0] + self.cell[1]) / 2)


def flow_between(tracker: Tracker, first: Rgb, second: Rgb) -> FrameFlow:
    """The flow that the tracker's network sees from one frame to another of the same size.

    Raises:
        SourceError: the sizes differ.
    """
    return FlowReader().read(tracker, Frame(0, 0.0, first), Frame(1, 0.0, second))


class FlowReader:
    """Flows of successive pairs of frames. The second of a pair is not embedded again as the first of the next."""

    def __init__(self) -> None:
        self._last: tuple[Frame, Tracker, torch.Tensor] | None = None

    def read(self, tracker: Tracker, first: Frame, second: Frame) -> FrameFlow:
        """As `flow_between`. Frames are recognised by being the same object."""
        _same_size(first.rgb, second.rgb)
        last = self._last
        known = last is not None and last[0] is first and last[1] is tracker
        one = last[2] if last is not None and known else tracker.look_at(first)[1]
        propagator, two, _ = tracker.look_at(second)
        self._last = (second, tracker, two)
        if one.shape != two.shape:  # the working size has changed in between
            one = tracker.look_at(first)[1]
        return _flow_of(one, two, propagator.logit_scale, second.height, second.width)


def _same_size(first: Rgb, second: Rgb) -> None:
    if first.shape != second.shape:
        sizes = " and ".join(f"{rgb.shape[1]} x {rgb.shape[0]}" for rgb in (first, second))
        raise SourceError(f"The frames are of different sizes: {sizes}.", "Take two frames of one video.")


def _flow_of(one: torch.Tensor, two: torch.Tensor, logit_scale: float, height: int, width: int) -> FrameFlow:
    """From h x w x C embeddings."""
    import torch

    from engine.propagation.flow import affinity_flow, flow_in_pixels

    with torch.inference_mode():
        flow, certainty = affinity_flow(one.permute(2, 0, 1), two.permute(2, 0, 1), logit_scale=logit_scale)
        pixels = flow_in_pixels(flow, height, width).cpu().numpy()
    return FrameFlow(pixels, certainty.cpu().numpy(), (width / one.shape[1], height / one.shape[0]))


def dis_flow(first: Rgb, second: Rgb) -> Flow:
    """OpenCV's DIS flow (Kroeger et al., 2016), an outside judge: H x W x 2 float32, pixels."""
    grey = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (first, second)]
    engine: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(engine.calc(grey[0], grey[1], None), np.float32)


def endpoint_error(flow: Flow, truth: Flow, where: NDArray[np.bool_] | None = None) -> float:
    """Mean distance in pixels between the ends of two flows, over all pixels or those in `where` (H x W bool)."""
    distance = np.hypot(flow[..., 0] - truth[..., 0], flow[..., 1] - truth[..., 1])
    return float((distance if where is None else distance[where]).mean())


def colours(flows: list[Flow], longest: float | None = None) -> list[Rgb]:
    """Flows of one size in torchvision's colours (hue: direction, saturation: length), on one common scale.

    Args:
        longest: length in pixels that is fully saturated, as are longer ones; None: the longest there is.
    """
    import torch
    from torchvision.utils import flow_to_image

    batch = torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).contiguous()
    if longest is not None:
        length = batch.norm(dim=1, keepdim=True)
        batch = batch * (longest / length.clamp_min(1e-6)).clamp_max(1.0)
        yardstick = torch.zeros_like(batch[:1])
        yardstick[:, 0] = longest  # torchvision saturates what is longest in a batch
        batch = torch.cat([batch, yardstick])
    pictures = flow_to_image(batch)[: len(flows)]
    return [np.ascontiguousarray(picture.permute(1, 2, 0).numpy()) for picture in pictures]


def write_flo(path: Path, flow: Flow) -> None:
    """Write a Middlebury .flo file.

    Raises:
        ExportError: it cannot be written.
    """
    temporary = temporary_beside(path.with_suffix(".flo"))
    try:
        written = path.absolute().parent.is_dir() and cv2.writeOpticalFlow(str(temporary), np.ascontiguousarray(flow))
        if not written:
            raise ExportError(f"{path} could not be written.", "Choose another place.")
        temporary.replace(path)
    except OSError as error:
        raise ExportError(f"{path} could not be written: {error.strerror}.", "Choose another place.") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_flo(path: Path) -> Flow:
    """H x W x 2 float32 of a .flo file.

    Raises:
        SourceError: it is missing or no such file.
    """
    # Not cv2.readOpticalFlow: it believes the size a damaged file claims and asks for that much memory.
    try:
        content = path.read_bytes()
        tag, width, height = struct.unpack_from("<fii", content)
        if tag != _FLO_TAG or min(width, height) < 1 or len(content) != 12 + 8 * width * height:
            raise ValueError("no such file")
    except (OSError, ValueError, struct.error) as error:
        raise SourceError(f"{path} cannot be read as a .flo file.", "Check the file.") from error
    return np.frombuffer(content, "<f4", offset=12).reshape(height, width, 2).astype(np.float32)
