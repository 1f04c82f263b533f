"""The one door to Qt's translation: `translate("Context", "Text with {name}").format(name=...)`.

Literal arguments only, for `pylupdate6` reads them from the source. The context is the panel or dialog the text stands
in.
"""

from __future__ import annotations

from PyQt6.QtCore import QCoreApplication

translate = QCoreApplication.translate
