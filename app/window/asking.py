"""Questions with named answers."""

from __future__ import annotations

from PyQt6.QtWidgets import QMessageBox, QWidget


def ask(parent: QWidget, title: str, text: str, detail: str, answers: list[str], *, default: int = 0) -> int:
    """Show a question with one button per answer.

    Returns:
        The index of the chosen answer; the last one (which should be the harmless one) for Esc.
    """
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(title)
    box.setText(text)
    box.setInformativeText(detail)
    buttons = [box.addButton(answer, QMessageBox.ButtonRole.ActionRole) for answer in answers]
    for button, answer in zip(buttons, answers, strict=True):
        assert button is not None
        button.setAccessibleName(answer.replace("&", "").rstrip("…"))
    box.setDefaultButton(buttons[default])
    box.setEscapeButton(buttons[-1])
    box.exec()
    clicked = box.clickedButton()
    return next((i for i, button in enumerate(buttons) if button is clicked), len(answers) - 1)
