"""The style sheet, compact: what a Fusion palette alone cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.theme import Theme


def style_sheet(t: Theme, tick: Path) -> str:
    """The application style sheet. `tick`: the drawing in a ticked box (style sheets cannot recolour an SVG)."""
    hover = "#3d4043" if t.dark else "#d6d8db"
    return f"""
QMainWindow, QDialog {{ background: {t.window}; }}
QMainWindow::separator {{ background: {t.border}; width: 1px; height: 1px; }}
QMainWindow::separator:hover {{ background: {t.link}; }}
QToolTip {{ color: {t.text}; background: {t.raised}; border: 1px solid {t.border}; padding: 4px 6px; }}

QMenuBar {{ background: {t.window}; border-bottom: 1px solid {t.border}; padding: 1px 4px; }}
QMenuBar::item {{ padding: 4px 9px; border-radius: 4px; background: transparent; }}
QMenuBar::item:selected {{ background: {t.raised}; }}
QMenu {{ background: {t.surface if not t.dark else t.window}; border: 1px solid {t.border}; padding: 4px; }}
QMenu::item {{ padding: 5px 28px 5px 26px; border-radius: 4px; }}
QMenu::item:selected {{ background: {t.accent}; color: {t.on_accent}; }}
QMenu::item:disabled {{ color: {t.disabled}; background: transparent; }}
QMenu::icon {{ left: 5px; }}
QMenu::indicator {{ width: 8px; height: 8px; left: 9px; }}
QMenu::indicator:unchecked {{ background: transparent; border: 1px solid transparent; }}
QMenu::indicator:checked {{ background: {t.link}; border: 1px solid {t.link}; border-radius: 5px; }}
QMenu::separator {{ height: 1px; background: {t.border}; margin: 4px 8px; }}

QToolBar {{ background: {t.window}; border: 0; spacing: 2px; padding: 3px 5px; }}
QToolBar#toolOptions {{ border-bottom: 1px solid {t.border}; }}
QToolBar#tools {{ border-right: 1px solid {t.border}; padding: 5px 3px; }}
QToolBar::separator {{ background: {t.border}; width: 1px; height: 1px; margin: 5px 4px; }}
QToolButton {{ border: 1px solid transparent; border-radius: 5px; padding: 4px; color: {t.text}; }}
QToolButton:hover {{ background: {t.raised}; }}
QToolButton:pressed {{ background: {hover}; }}
QToolButton:checked {{ background: {t.accent}; color: {t.on_accent}; }}
QToolButton:disabled {{ color: {t.disabled}; }}
QToolButton:focus {{ border: 1px solid {t.link}; }}
QToolButton#bigPlay {{ background: {t.accent}; border-radius: 21px; padding: 0; }}
QToolButton#bigPlay:hover {{ background: {t.tracked if t.dark else "#0e5a4c"}; }}
QToolButton#bigPlay:disabled {{ background: {t.raised}; }}
QToolButton#bigPlay:focus {{ border: 2px solid {t.text}; }}
QToolButton#recordButton:checked {{ background: {t.live}; }}

QPushButton {{ background: {t.raised}; border: 1px solid {t.border}; border-radius: 5px; padding: 5px 14px;
  color: {t.text}; }}
QPushButton:hover {{ background: {hover}; }}
QPushButton:disabled {{ color: {t.disabled}; }}
QPushButton:default, QPushButton[primary="true"] {{ background: {t.accent}; color: {t.on_accent};
  border-color: {t.accent}; }}
QPushButton:default:disabled {{ background: {t.raised}; color: {t.disabled}; border-color: {t.border}; }}
QPushButton:focus {{ border: 2px solid {t.link}; padding: 4px 13px; }}
QPushButton:default:focus, QPushButton[primary="true"]:focus {{ border: 2px solid {t.text}; }}

QLineEdit, QPlainTextEdit, QTextBrowser, QListWidget, QTableWidget, QScrollArea#sheet {{ background: {t.surface};
  border: 1px solid {t.border}; border-radius: 5px; color: {t.text}; selection-background-color: {t.accent};
  selection-color: {t.on_accent}; }}
QLineEdit {{ padding: 4px 6px; }}
QLineEdit:focus, QPlainTextEdit:focus, QTextBrowser:focus, QListWidget:focus, QTableWidget:focus {{
  border: 1px solid {t.link}; }}
QCheckBox::indicator {{ width: 15px; height: 15px; border: 1px solid {t.strong_border}; border-radius: 3px;
  background: {t.surface}; }}
QCheckBox::indicator:checked {{ background: {t.accent}; border-color: {t.accent};
  image: url("{tick.as_posix()}"); }}
QCheckBox::indicator:focus {{ border: 2px solid {t.link}; }}

QSlider {{ background: transparent; border: 1px solid transparent; }}
QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {t.border}; }}
QSlider::add-page:horizontal {{ background: {t.border}; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {t.tracked}; border-radius: 2px; }}
QSlider::handle:horizontal {{ background: {t.text}; width: 12px; height: 12px; margin: -4px 0; border-radius: 6px; }}
QSlider::handle:horizontal:hover {{ background: {t.link}; }}
QSlider:focus {{ border: 1px solid {t.link}; border-radius: 4px; }}
QSlider::sub-page:horizontal:disabled, QSlider::handle:horizontal:disabled {{ background: {t.disabled}; }}

QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QPushButton#recentLink {{ background: transparent; border: 1px solid transparent; color: {t.link}; padding: 2px 4px;
  text-align: left; }}
QPushButton#recentLink:hover {{ text-decoration: underline; }}
QPushButton#recentLink:focus {{ border: 1px solid {t.link}; }}

QProgressBar {{ background: {t.raised}; border: 0; border-radius: 3px; text-align: center; color: {t.text}; }}
QProgressBar::chunk {{ background: {t.tracked}; border-radius: 3px; }}

QDockWidget {{ color: {t.text}; }}
QDockWidget::title {{ background: {t.window}; padding: 6px 8px; border-bottom: 1px solid {t.border}; }}
QFrame#dockTitle {{ background: {t.window}; border-bottom: 1px solid {t.border}; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle {{ background: {t.strong_border}; border-radius: 4px; margin: 1px; min-height: 24px;
  min-width: 24px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}

QStatusBar {{ background: {t.window}; border-top: 1px solid {t.border}; color: {t.muted}; }}
QStatusBar::item {{ border: 0; }}
QLabel[role="muted"] {{ color: {t.muted}; }}
QLabel[role="heading"] {{ font-weight: 600; }}
QLabel[role="title"] {{ font-size: 20px; font-weight: 600; }}
QLabel[role="figure"] {{ color: {t.muted}; padding: 0 5px; }}
QLabel[role="key"] {{ background: {t.raised}; border: 1px solid {t.border}; border-bottom: 2px solid {t.border};
  border-radius: 4px; padding: 1px 6px; color: {t.text}; }}
QLabel[role="step"] {{ background: {t.accent}; color: {t.on_accent}; border-radius: 11px; font-weight: 600;
  min-width: 22px; max-width: 22px; min-height: 22px; max-height: 22px; }}
QLabel#state {{ font-weight: 600; }}

QFrame#transport {{ background: {t.window}; border-top: 1px solid {t.border}; }}
QFrame#notice {{ background: {t.surface if not t.dark else t.raised}; border: 1px solid {t.border};
  border-left: 4px solid {t.info}; border-radius: 6px; }}
QFrame#notice[severity="warning"] {{ border-left-color: {t.warning}; }}
QFrame#notice[severity="error"] {{ border-left-color: {t.error}; }}
QWidget#welcome {{ background: {t.canvas}; }}
QFrame#welcomeCard {{ background: {t.window}; border: 1px solid {t.border}; border-radius: 10px; }}
QFrame#objectRow {{ border: 1px solid transparent; border-radius: 5px; }}
QFrame#objectRow:hover {{ background: {t.raised}; }}
QFrame#objectRow[selected="true"] {{ background: {t.raised}; border: 1px solid {t.link}; }}
QFrame#objectRow QLineEdit {{ background: transparent; border: 1px solid transparent; padding: 2px 3px; }}
QFrame#objectRow QLineEdit:focus {{ background: {t.surface}; border: 1px solid {t.link}; }}
QFrame#objectRow QToolButton {{ padding: 2px; }}
"""
