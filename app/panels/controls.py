"""Buttons and sliders that live with single-key shortcuts.

A click with the mouse never takes the keyboard away from the canvas (tab focus only). A control that was tabbed to on
purpose takes its own keys back from the window's shortcuts: Space presses a button, arrows move a slider.
"""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QAction, QKeyEvent
from PyQt6.QtWidgets import QSlider, QToolButton, QWidget

_BUTTON_KEYS = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)
_SLIDER_KEYS = (
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
)


def _claims(event: QEvent | None, keys: tuple[Qt.Key, ...]) -> bool:
    return (
        isinstance(event, QKeyEvent)
        and event.type() is QEvent.Type.ShortcutOverride
        and event.key() in keys
        and event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
    )


class Button(QToolButton):
    """A flat button with an icon."""

    def __init__(self, name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setIconSize(QSize(20, 20))
        self.setAutoRaise(True)
        if name:
            self.setAccessibleName(name)

    def event(self, event: QEvent | None) -> bool:
        if event is not None and _claims(event, _BUTTON_KEYS):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        if event is not None and event.key() in _BUTTON_KEYS[1:]:
            self.click()
            return
        super().keyPressEvent(event)


def action_button(action: QAction, parent: QWidget | None = None) -> Button:
    """A button that is an action: its icon, tool tip, checked and enabled state follow."""
    button = Button(action.text().replace("&", "").rstrip("…"), parent)
    button.setDefaultAction(action)
    return button


class Slider(QSlider):
    """A horizontal slider that also goes where the track is clicked."""

    def __init__(self, name: str, low: int, high: int, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setRange(low, high)
        self.setAccessibleName(name)

    def event(self, event: QEvent | None) -> bool:
        if event is not None and _claims(event, _SLIDER_KEYS):
            event.accept()
            return True
        return super().event(event)
