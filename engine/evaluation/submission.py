"""Zips of masks as the evaluation servers of DAVIS and YouTube-VOS take them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from engine.errors import ExportError
from engine.evaluation.datasets import Dataset
from engine.video.atomic import replacing

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same masks give the same zip


def wants_submission(dataset: Dataset) -> bool:
    """True for splits whose ground truth only a server has."""
    return dataset.kind == "youtube-vos" or dataset.split.startswith("test")


def write_submission(dataset: Dataset, out: Path, path: Path) -> int:
    """Zip the masks of every sequence, and nothing else.

    DAVIS: SEQ/FRAME.png at the top; YouTube-VOS: Annotations/SEQ/FRAME.png. PNGs are compressed already and stored.

    Returns:
        How many masks it holds.

    Raises:
        ExportError: a mask is missing, or the file cannot be written.
    """
    count = 0
    try:
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for sequence in dataset.sequences:
                folder = sequence.results_in(out / dataset.result_folder)
                for frame in sequence.frames:
                    mask = folder / f"{frame.stem}.png"
                    archive.writestr(zipfile.ZipInfo(mask.relative_to(out).as_posix(), _EPOCH), mask.read_bytes())
                    count += 1
    except OSError as error:
        raise ExportError(
            f"The zip {path} could not be written: {error.strerror or error}.", "Run the evaluation again."
        ) from error
    return count
