"""Plots of reports. Needs matplotlib, which the program itself does without; it is imported when a plot is drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.evaluation.metrics import RECALL_ABOVE
from engine.evaluation.paper import QUALITY_AND_SPEED, PublishedPoint
from engine.evaluation.scoring import ObjectScore
from engine.video.masks import davis_palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110


class PlotError(UserError):
    """Plots cannot be drawn here."""


def plots_available() -> bool:
    """Whether matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise PlotError("Plots need the package matplotlib.", "Install it: pip install matplotlib.") from error
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def iou_curves(scores: Sequence[ObjectScore]) -> bytes:
    """PNG: J of every object of one sequence over its frames (the paper's Fig. 6)."""
    figure = _figure(7.5, 2.8)
    axes: Axes = figure.add_subplot()
    palette = davis_palette() / 255
    for score in scores:
        # Without ground truth on every frame (YouTube-VOS) the names still tell how far apart two values are.
        axes.plot(
            _positions(score.frames),
            score.region_values,
            color=tuple(palette[score.object_id]),
            label=f"object {score.object_id}: {score.region.mean:.3f}",
            linewidth=1.4,
        )
    axes.axhline(RECALL_ABOVE, color="0.6", linewidth=0.8, linestyle="--")
    axes.set(xlabel="frame", ylabel="J", ylim=(0, 1.02), title=scores[0].sequence)
    axes.legend(loc="lower left", fontsize="small", ncols=3)
    return _png(figure)


def _positions(names: Sequence[str]) -> Sequence[float]:
    """Frame numbers where the names are numbers, else positions."""
    return (
        [float(name) for name in names] if all(name.isdecimal() for name in names) else [*map(float, range(len(names)))]
    )


def quality_and_speed(
    points: Mapping[str, tuple[float, float]], published: Sequence[PublishedPoint] = QUALITY_AND_SPEED
) -> bytes:
    """PNG: quality against speed (the paper's Fig. 1).

    Args:
        points: ours, label -> (frames per second, J&F from 0 to 1).
        published: drawn hollow and labelled as their authors' figures.
    """
    figure = _figure(7.5, 4.2)
    axes: Axes = figure.add_subplot()
    for label, (fps, mean) in points.items():
        axes.scatter([fps], [mean], color="tab:red", zorder=3)
        axes.annotate(
            f"{label}, measured here", (fps, mean), textcoords="offset points", xytext=(6, 5), fontsize="small"
        )
    for point in published:
        axes.scatter([point.fps], [point.mean], facecolors="none", edgecolors="tab:blue", zorder=3)
        axes.annotate(
            f"{point.name}, {point.dataset}",
            (point.fps, point.mean),
            textcoords="offset points",
            xytext=(6, -12),
            fontsize="small",
        )
    speeds = [fps for fps, _ in points.values()] + [point.fps for point in published]
    means = [mean for _, mean in points.values()] + [point.mean for point in published]
    axes.set_xscale("log")
    axes.set(
        xlabel="frames per second (logarithmic)",
        ylabel="J&F",
        xlim=(min(speeds) / 2, max(speeds) * 8),
        ylim=(max(0.0, min(means) - 0.1), min(1.0, max(means) + 0.1)),
    )
    axes.grid(visible=True, which="both", alpha=0.25)
    return _png(figure)


def sweep_curve(title: str, unit: str, values: Sequence[str], means: Sequence[float], chosen: str | None) -> bytes:
    """PNG: mean J over the values of one setting; `chosen` is marked as what the recipe has."""
    figure = _figure(5.2, 2.8)
    axes: Axes = figure.add_subplot()
    axes.plot(range(len(values)), means, color="tab:red", marker="o", linewidth=1.2)
    if chosen in values:
        at = values.index(chosen)
        axes.scatter([at], [means[at]], s=110, facecolors="none", edgecolors="black", zorder=3, label="the recipe's")
        axes.legend(fontsize="small")
    axes.set_xticks(range(len(values)), values)
    axes.set(xlabel=unit, ylabel="mean J", title=title)
    axes.grid(visible=True, alpha=0.25)
    return _png(figure)
