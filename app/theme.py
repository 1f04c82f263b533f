"""Light and dark: colour tokens, the Qt palette and the style sheet made from them.

Greys are neutral on purpose: a tinted surround shifts how footage is judged. Colour is kept for meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QGuiApplication, QPalette
from PyQt6.QtWidgets import QApplication, QStyleFactory

from app.icons import icon_path
from app.style_sheet import style_sheet


@dataclass(frozen=True)
class Theme:
    """Colour tokens (#rrggbb).

    Attributes:
        window: bars and docks; surface: fields and lists; raised: buttons and hovered rows; canvas: around the picture.
        text, muted, disabled: three strengths of writing (disabled is exempt from the contrast rule, as in WCAG 1.4.3).
        accent: fill of the chosen thing, with on_accent written on it; link: accent as writing on window.
        tracked, keyframe, stale: the timeline's three kinds of mask; unsure, lost: tracked with little confidence;
            found: an object that is back after it was lost.
        live: the LIVE and REC marks.
        info, warning, error: edge and icon of a notice, all readable on surface.
    """

    name: str
    window: str
    surface: str
    raised: str
    canvas: str
    border: str
    strong_border: str
    text: str
    muted: str
    disabled: str
    accent: str
    on_accent: str
    link: str
    tracked: str
    keyframe: str
    stale: str
    unsure: str
    lost: str
    found: str
    live: str
    info: str
    warning: str
    error: str

    @property
    def dark(self) -> bool:
        return self.name == "dark"


DARK = Theme(
    name="dark",
    window="#232426",
    surface="#1a1b1d",
    raised="#303234",
    canvas="#141415",
    border="#3a3c3f",
    strong_border="#7b7f84",
    text="#ececed",
    muted="#a9acb0",
    disabled="#6a6d71",
    accent="#1f7a6c",
    on_accent="#ffffff",
    link="#5fd0be",
    tracked="#3aa795",
    keyframe="#ffd166",
    stale="#7d8187",
    unsure="#efb04a",
    lost="#f0766b",
    found="#6fb1f5",
    live="#ff6b5e",
    info="#7db7f0",
    warning="#efb04a",
    error="#ff8579",
)

LIGHT = Theme(
    name="light",
    window="#f1f1f2",
    surface="#ffffff",
    raised="#e3e4e6",
    canvas="#d3d4d6",
    border="#cbcdd0",
    strong_border="#7c8085",
    text="#1b1c1e",
    muted="#54575c",
    disabled="#9b9ea3",
    accent="#13705f",
    on_accent="#ffffff",
    link="#0c6b5a",
    tracked="#2a9a86",
    keyframe="#d99a00",
    stale="#9a9ea4",
    unsure="#e3a536",
    lost="#d95c50",
    found="#2f7fd0",
    live="#c22f22",
    info="#1a64ad",
    warning="#8a5a00",
    error="#b3261e",
)

THEMES = {theme.name: theme for theme in (DARK, LIGHT)}


def luminance(color: str) -> float:
    """Relative luminance 0..1 of a "#rrggbb" colour (WCAG 2.2)."""
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio 1..21 of two "#rrggbb" colours (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def make_palette(theme: Theme) -> QPalette:
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.surface,
        QPalette.ColorRole.AlternateBase: theme.window,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.Button: theme.raised,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.BrightText: theme.live,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.on_accent,
        QPalette.ColorRole.Link: theme.link,
        QPalette.ColorRole.LinkVisited: theme.link,
        QPalette.ColorRole.ToolTipBase: theme.raised,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.muted,
        QPalette.ColorRole.Mid: theme.border,
        QPalette.ColorRole.Midlight: theme.raised,
        QPalette.ColorRole.Light: theme.raised,
        QPalette.ColorRole.Dark: theme.border,
        QPalette.ColorRole.Shadow: theme.canvas,
    }
    for role, color in roles.items():
        palette.setColor(role, QColor(color))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.disabled))
    palette.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Highlight, QColor(theme.border))
    return palette


_SCHEMES = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark, "system": Qt.ColorScheme.Unknown}


class ThemeManager(QObject):
    """Applies a theme to the whole application and follows the system's when asked to.

    Signals:
        changed(Theme): the colours in use changed; whoever paints by hand or holds icons repaints.
    """

    changed = pyqtSignal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._choice = "system"
        self._theme = DARK
        hints = QGuiApplication.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.connect(self._on_system_changed)

    @property
    def theme(self) -> Theme:
        return self._theme

    @property
    def choice(self) -> str:
        """What the user asked for: "system", "light" or "dark"."""
        return self._choice

    def choose(self, choice: str) -> None:
        """Use "light", "dark", or what the system uses."""
        self._choice = choice
        hints = QGuiApplication.styleHints()
        if hints is not None and hasattr(hints, "setColorScheme"):  # Qt 6.8: title bars and native dialogs follow, too
            hints.setColorScheme(_SCHEMES[choice])
        self._apply(THEMES.get(choice) or self._system_theme())

    def _system_theme(self) -> Theme:
        hints = QGuiApplication.styleHints()
        light = hints is not None and hints.colorScheme() == Qt.ColorScheme.Light
        # Unknown (bare X11) counts as dark, the habit of video tools: the picture is the brightest thing on screen.
        return LIGHT if light else DARK

    def _on_system_changed(self) -> None:
        if self._choice == "system":
            self._apply(self._system_theme())

    def _apply(self, theme: Theme) -> None:
        application = QApplication.instance()
        if not isinstance(application, QApplication):
            return
        self._theme = theme
        sheet = style_sheet(theme, icon_path("check_white"))
        if application.styleSheet() != sheet:  # polishing every widget anew takes a tenth of a second
            if not application.styleSheet():
                application.setStyle(QStyleFactory.create("Fusion"))
            application.setPalette(make_palette(theme))
            application.setStyleSheet(sheet)
        self.changed.emit(theme)
