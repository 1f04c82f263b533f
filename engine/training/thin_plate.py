"""Thin-plate splines: the smoothest bending of the plane that moves given points by given amounts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # N x 2


class ThinPlate:
    """Interpolates displacements known at `controls` (Bookstein 1989: kernel r^2 log r plus an affine part)."""

    def __init__(self, controls: Points) -> None:
        self.controls = controls
        count = len(controls)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _kernel(controls, controls)
        system[:count, count:] = _affine(controls)
        system[count:, :count] = _affine(controls).T
        self._inverse = np.linalg.inv(system)[:, :count]

    def displacement(self, points: Points, at_controls: Points) -> Points:
        """N x 2 displacements at `points`, given those at the controls."""
        coefficients = self._inverse @ at_controls
        return np.hstack([_kernel(points, self.controls), _affine(points)]) @ coefficients


def _kernel(points: Points, controls: Points) -> Points:
    squared = ((points[:, None] - controls[None]) ** 2).sum(-1)
    return np.asarray(squared * np.log(np.maximum(squared, 1e-12)) / 2)


def _affine(points: Points) -> Points:
    return np.hstack([np.ones((len(points), 1)), points])
