"""Two trees of masks, one with the truth, as a data set without frames."""

from __future__ import annotations

from pathlib import Path

from engine.evaluation.datasets import Dataset, DatasetError, Protocol, VideoSequence
from engine.evaluation.scoring import can_be_scored
from engine.video.folder import images_in


def load_trees(prediction: Path, truth: Path, protocol: Protocol, *, merge_objects: bool = False) -> Dataset:
    """Every folder with images in `truth`, itself included, is a sequence named by its path below `truth`.

    The masks of `prediction` are found under the same paths and names. Hidden folders are left out.

    Raises:
        DatasetError: a folder is missing, `truth` holds no masks, `prediction` lacks a sequence, or a sequence is too
            short for the protocol.
        SourceError: a folder cannot be listed.
    """
    for tree in (prediction, truth):
        if not tree.is_dir():
            raise DatasetError(f"There is no folder {tree}.", "Check the path.")
    sequences = []
    for path in [Path(), *sorted(found.relative_to(truth) for found in truth.rglob("*") if found.is_dir())]:
        masks = () if any(part.startswith(".") for part in path.parts) else tuple(images_in(truth / path))
        if not masks:
            continue
        folder = path.as_posix()
        name = truth.absolute().name if folder == "." else folder
        if not (prediction / folder).is_dir():
            raise DatasetError(
                f"{prediction} has no masks of the sequence {name}.", f"It should have a folder {name}, as {truth} has."
            )
        sequence = VideoSequence(name, masks, masks, merge_objects=merge_objects, folder=folder)
        if not can_be_scored(sequence, protocol):
            raise DatasetError(
                f"The sequence {name} has only {len(masks)} true masks; by the {protocol.name} rules none counts.",
                "Use --protocol all.",
            )
        sequences.append(sequence)
    if not sequences:
        raise DatasetError(f"There are no masks in {truth}.", "The second folder is the one with the true masks.")
    return Dataset(f"against {truth}", truth, "", tuple(sequences), protocol)
