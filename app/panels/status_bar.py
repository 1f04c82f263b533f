"""Figures of the running engine, each explained by its tool tip. When room is short, the least important go first."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QStatusBar, QWidget

from app.i18n import told
from engine.runtime.messages import EngineProgress, LiveQuality, StatsSnapshot, WorkerState
from engine.video.source import SourceInfo


def size_text(count: float) -> str:
    """Bytes as people write them: 812 kB, 48 MB, 1.3 GB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if unit == "GB" else f"{count / scale:.0f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _fps(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


class Figure(QLabel):
    """One figure with an explanation. `rank`: the higher, the sooner it goes when room is short."""

    def __init__(self, name: str, tip: str, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.wanted = True
        self._widest = 0
        self.setProperty("role", "figure")
        self.setAccessibleName(name)
        self._tip = f"{name}\n{tip}"
        self.setToolTip(self._tip)
        self.setTextFormat(Qt.TextFormat.PlainText)

    def show_text(self, text: str) -> None:
        """Show a text; the label never becomes narrower, so that its neighbours do not dance."""
        if text == self.text():
            return
        self.setText(text)
        self._widest = max(self._widest, self.fontMetrics().horizontalAdvance(text) + 12)
        self.setMinimumWidth(self._widest)

    def add_tip(self, text: str) -> None:
        """Say more in the tool tip, below what it always says."""
        self.setToolTip(f"{self._tip}\n{text}" if text else self._tip)

    @property
    def room(self) -> int:
        return max(self._widest, self.minimumSizeHint().width())


class StatusBar(QStatusBar):
    """Engine progress on the left, figures on the right."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self._info: SourceInfo | None = None
        self._busy = QProgressBar()
        self._busy.setRange(0, 0)
        self._busy.setFixedSize(60, 6)
        self._busy.setTextVisible(False)
        self._busy.setAccessibleName(self.tr("Engine is starting"))
        self._loading = self._trouble = self._hint = ""
        self._progress = QLabel()
        self._progress.setAccessibleName(self.tr("Engine"))
        self._make_figures()
        self._row = QWidget()
        self._row.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self._row)
        row.setContentsMargins(8, 0, 4, 0)
        row.setSpacing(4)
        row.addWidget(self._busy)
        row.addWidget(self._progress)
        for figure in self._left:
            row.addWidget(figure)
        row.addStretch(1)
        for figure in self._right:
            row.addWidget(figure)
        self.addWidget(self._row, 1)
        self.show_progress(None)
        self.show_stats(StatsSnapshot())

    def _make_figures(self) -> None:
        tr = self.tr
        self.source = Figure(
            tr("Source rate"), tr("Frames per second that the camera or file delivers, over the last 2 seconds."), 3
        )
        self.tracked = Figure(
            tr("Tracked rate"), tr("Masks per second, every stage counted, over the last 2 seconds."), 0
        )
        self.age = Figure(
            tr("Mask age"),
            tr("Time from the capture of a frame to its finished mask: the middle value and the one that 95 of 100\n"
               "stay below, over the last 120 masks. A frame is always shown with its own mask."),
            1,
        )  # fmt: skip
        self.dropped = Figure(
            tr("Dropped frames"),
            tr("Live frames left out because the engine was still busy, since the source was opened.\n"
               "The newest frame is always taken next, so the picture does not fall behind."),
            2,
        )  # fmt: skip
        self.device = Figure(
            tr("Device"),
            tr(
                "Where the network runs, in which number format, and what runs it.\n"
                "Menu Engine, Device and Backend change it."
            ),
            6,
        )
        self.model = Figure(tr("Model"), tr("The network that compares pixels. Menu Engine, Model changes it."), 5)
        self.working_size = Figure(
            tr("Working size"),
            tr("The size at which the engine looks at a frame. Smaller is faster, larger is finer.\n"
               "Masks always come out at the full size. Menu Engine, Working size changes it."),
            4,
        )  # fmt: skip
        self.memory = Figure(
            tr("Memory"),
            tr("Bytes of the engine's memory bank (fixed, however long you track), and of the whole program."),
            7,
        )
        self._left = [self.source, self.tracked, self.age, self.dropped]
        self._right = [self.model, self.device, self.working_size, self.memory]

    # -- what is shown -----------------------------------------------------------------------------------------
    def show_source(self, info: SourceInfo | None) -> None:
        self._info = info
        live = info is not None and info.live
        self.dropped.wanted = live
        self.age.wanted = live  # frames of a file wait in line on purpose; their age says nothing
        self._fit()

    def show_progress(self, progress: EngineProgress | None) -> None:
        """What the engine is loading; nothing once it is ready."""
        self._loading = told(progress.text) if progress is not None and not progress.ready else ""
        self._busy.setVisible(bool(self._loading))
        self._tell()
        if progress is not None and progress.ready:
            self.model.show_text(progress.model)
            self.device.show_text(progress.device)
            self._fit()

    def show_stats(self, stats: StatsSnapshot) -> None:
        self.source.show_text(self.tr("Source %1 fps").replace("%1", _fps(stats.source_fps)))
        self.tracked.show_text(self.tr("Tracked %1 fps").replace("%1", _fps(stats.tracked_fps)))
        if stats.age_p50_s is None or stats.age_p95_s is None:
            age = "–"
        else:
            age = f"{stats.age_p50_s * 1000:.0f} / {stats.age_p95_s * 1000:.0f} ms"
        self.age.show_text(self.tr("Mask age %1").replace("%1", age))
        self.dropped.show_text(self.tr("Dropped %1").replace("%1", f"{stats.dropped:,}"))
        if stats.device:
            self.device.show_text(stats.device)
        if stats.model:
            self.model.show_text(stats.model)
        if stats.working_size is not None:
            text, why = self._quality(stats.live_quality)
            self.working_size.show_text(f"{stats.working_size[0]} × {stats.working_size[1]}{text}")
            self.working_size.add_tip(why)
        if stats.rss_bytes:
            bank = f"{size_text(stats.bank_bytes)} / " if stats.bank_bytes else ""
            self.memory.show_text(self.tr("Memory %1").replace("%1", bank + size_text(stats.rss_bytes)))
        faulted = [name for name, state in stats.worker_states.items() if state is WorkerState.FAULTED]
        if faulted:
            self._trouble = self.tr("Stopped working: %1").replace("%1", ", ".join(faulted))
        else:
            self._trouble = told(stats.source_status)
        self._tell()

    def _quality(self, quality: LiveQuality | None) -> tuple[str, str]:
        """What the engine chose to keep up with a live source: a few words, and a sentence."""
        if quality is None:
            return "", ""
        rate = f"{quality.target_fps:.0f}"
        if quality.full and quality.holds:
            return self.tr(" · full"), self.tr("Nothing had to be left out to hold %1 fps.").replace("%1", rate)
        why = self.tr("Chosen to hold %1 fps, as menu Engine, Live rate asks.").replace("%1", rate)
        if quality.references is not None:
            why += " " + self.tr("Only %1 earlier frames are looked at.").replace("%1", str(quality.references))
        text = self.tr(" · below %1 fps") if quality.holds is False else self.tr(" · for %1 fps")
        return text.replace("%1", rate), why

    def show_hint(self, text: str) -> None:
        """What to do next with the tool in hand, "" for nothing."""
        self._hint = text
        self._tell()

    def _tell(self) -> None:
        """Trouble comes before loading, and that before hints; each only as long as it lasts."""
        text = self._trouble or self._loading or self._hint
        self._progress.setText(text)
        self._progress.setVisible(bool(text))
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.width() - 40
        if self._progress.text():
            room -= self._progress.sizeHint().width() + self._busy.width() + 8
        for figure in sorted((*self._left, *self._right), key=lambda figure: figure.rank):
            idle = self._info is None and figure in self._left
            shown = figure.wanted and bool(figure.text()) and not idle and figure.room + 4 <= room
            if shown:
                room -= figure.room + 4
            if figure.isVisibleTo(self._row) != shown:
                figure.setVisible(shown)
