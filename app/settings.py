"""What is remembered between two starts. One typed face on QSettings, so that no key string lives anywhere else."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QByteArray, QSettings

from app.canvas.overlay_styles import STYLES, VIEWS
from app.i18n import LANGUAGES
from engine.export.formats import DEFAULT_FORMAT, FORMATS

MAX_RECENT = 10
THEMES = ("system", "light", "dark")


class Settings:
    """Remembered choices.

    Args:
        path: an INI file of its own (tests, portable use); None for the place the platform keeps settings in.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._store = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "LiveMask", "LiveMask")
        else:
            self._store = QSettings(str(path), QSettings.Format.IniFormat)

    @property
    def path(self) -> Path:
        return Path(self._store.fileName())

    def sync(self) -> None:
        self._store.sync()

    # -- plain values: a hand-edited or damaged file must never keep the window from opening ---------------------
    def _text(self, key: str, default: str) -> str:
        value = self._store.value(key, default)
        return value if isinstance(value, str) else default

    def _number(self, key: str, default: float, low: float, high: float) -> float:
        try:
            value = float(str(self._store.value(key, default)))
        except ValueError:
            return default
        return min(max(value, low), high) if value == value else default

    def _bytes(self, key: str) -> QByteArray | None:
        value = self._store.value(key)
        return value if isinstance(value, QByteArray) else None

    # -- window ------------------------------------------------------------------------------------------------
    @property
    def geometry(self) -> QByteArray | None:
        return self._bytes("window/geometry")

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._store.setValue("window/geometry", value)

    @property
    def window_state(self) -> QByteArray | None:
        return self._bytes("window/state")

    @window_state.setter
    def window_state(self, value: QByteArray) -> None:
        self._store.setValue("window/state", value)

    @property
    def theme(self) -> str:
        value = self._text("view/theme", "system")
        return value if value in THEMES else "system"

    @theme.setter
    def theme(self, value: str) -> None:
        self._store.setValue("view/theme", value)

    @property
    def language(self) -> str:
        """One of `app.i18n.LANGUAGES`; it counts from the next start on."""
        value = self._text("view/language", "system")
        return value if value in LANGUAGES else "system"

    @language.setter
    def language(self, value: str) -> None:
        self._store.setValue("view/language", value)

    @property
    def tour_seen(self) -> bool:
        """The first steps were shown, or skipped."""
        return self._text("view/tour_seen", "false") == "true"

    @tour_seen.setter
    def tour_seen(self, value: bool) -> None:
        self._store.setValue("view/tour_seen", "true" if value else "false")

    # -- painting ----------------------------------------------------------------------------------------------
    @property
    def overlay_opacity(self) -> float:
        return self._number("view/opacity", 0.5, 0.0, 1.0)

    @overlay_opacity.setter
    def overlay_opacity(self, value: float) -> None:
        self._store.setValue("view/opacity", value)

    @property
    def overlay_style(self) -> str:
        """One of `overlay_styles.STYLES`."""
        value = self._text("view/overlay_style", STYLES[0])
        return value if value in STYLES else STYLES[0]

    @overlay_style.setter
    def overlay_style(self, value: str) -> None:
        self._store.setValue("view/overlay_style", value)

    @property
    def live_view(self) -> str:
        """One of `overlay_styles.VIEWS`."""
        value = self._text("view/live_view", VIEWS[0])
        return value if value in VIEWS else VIEWS[0]

    @live_view.setter
    def live_view(self, value: str) -> None:
        self._store.setValue("view/live_view", value)

    @property
    def thumbnails(self) -> bool:
        """Whether small pictures are shown below the time line."""
        return self._text("window/thumbnails", "true") == "true"

    @thumbnails.setter
    def thumbnails(self, value: bool) -> None:
        self._store.setValue("window/thumbnails", "true" if value else "false")

    @property
    def retrack_auto(self) -> bool:
        """Whether the frames around a correction are tracked anew by themselves."""
        return self._text("tracking/retrack_auto", "false") == "true"

    @retrack_auto.setter
    def retrack_auto(self, value: bool) -> None:
        self._store.setValue("tracking/retrack_auto", "true" if value else "false")

    @property
    def lost_sound(self) -> bool:
        """A sound when an object becomes unsure or is lost in live use."""
        return self._text("tracking/lost_sound", "false") == "true"

    @lost_sound.setter
    def lost_sound(self, value: bool) -> None:
        self._store.setValue("tracking/lost_sound", "true" if value else "false")

    @property
    def brush_radius(self) -> int:
        return int(self._number("paint/brush_radius", 14, 1, 300))

    @brush_radius.setter
    def brush_radius(self, value: int) -> None:
        self._store.setValue("paint/brush_radius", value)

    @property
    def fill_tolerance(self) -> int:
        return int(self._number("paint/fill_tolerance", 16, 0, 255))

    @fill_tolerance.setter
    def fill_tolerance(self, value: int) -> None:
        self._store.setValue("paint/fill_tolerance", value)

    @property
    def pen_pressure(self) -> bool:
        """The pressure of a pen sizes the brush."""
        return self._text("paint/pen_pressure", "true") == "true"

    @pen_pressure.setter
    def pen_pressure(self, value: bool) -> None:
        self._store.setValue("paint/pen_pressure", "true" if value else "false")

    # -- engine ------------------------------------------------------------------------------------------------
    @property
    def model(self) -> str | None:
        return self._text("engine/model", "") or None

    @model.setter
    def model(self, value: str | None) -> None:
        self._store.setValue("engine/model", value or "")

    @property
    def weights(self) -> Path | None:
        """The user's own weights file of that model, None when there is none or it is gone."""
        text = self._text("engine/weights", "")
        return Path(text) if text and Path(text).is_file() else None

    @weights.setter
    def weights(self, value: Path | None) -> None:
        self._store.setValue("engine/weights", str(value) if value else "")

    @property
    def recipe(self) -> str | None:
        return self._text("engine/recipe", "") or None

    @recipe.setter
    def recipe(self, value: str | None) -> None:
        self._store.setValue("engine/recipe", value or "")

    @property
    def device(self) -> str:
        return self._text("engine/device", "auto") or "auto"

    @device.setter
    def device(self, value: str) -> None:
        self._store.setValue("engine/device", value)

    @property
    def backend(self) -> str:
        return self._text("engine/backend", "auto") or "auto"

    @backend.setter
    def backend(self, value: str) -> None:
        self._store.setValue("engine/backend", value)

    @property
    def working_size(self) -> int | None:
        return int(self._number("engine/working_size", 0, 0, 4320)) or None

    @working_size.setter
    def working_size(self, value: int | None) -> None:
        self._store.setValue("engine/working_size", value or 0)

    @property
    def live_rate(self) -> float | None:
        """Frames per second to hold on live sources, None for all there are."""
        return self._number("engine/live_rate", 24, 0, 240) or None

    @live_rate.setter
    def live_rate(self, value: float | None) -> None:
        self._store.setValue("engine/live_rate", value or 0)

    # -- files -------------------------------------------------------------------------------------------------
    @property
    def recent(self) -> list[str]:
        """Sources opened of late, newest first."""
        value = self._store.value("files/recent", [])
        if isinstance(value, str):  # QSettings gives a list of one back as a plain string
            value = [value]
        entries = value if isinstance(value, list) else []
        return [entry for entry in entries if isinstance(entry, str) and entry][:MAX_RECENT]

    def add_recent(self, uri: str) -> None:
        self._store.setValue("files/recent", [uri, *(entry for entry in self.recent if entry != uri)][:MAX_RECENT])

    def clear_recent(self) -> None:
        self._store.remove("files/recent")

    def last_folder(self, purpose: str) -> str:
        """The folder last used for `purpose` ("open", "mask", "export", "record"), "" when there is none any more."""
        folder = self._text(f"files/folder_{purpose}", "")
        return folder if folder and Path(folder).is_dir() else ""

    def set_last_folder(self, purpose: str, folder: Path | str) -> None:
        self._store.setValue(f"files/folder_{purpose}", str(folder))

    @property
    def export_format(self) -> str:
        """Key of the format last exported to; a known one."""
        value = self._text("export/format", DEFAULT_FORMAT)
        return value if value in FORMATS else DEFAULT_FORMAT

    @export_format.setter
    def export_format(self, value: str) -> None:
        self._store.setValue("export/format", value)

    # -- keys --------------------------------------------------------------------------------------------------
    def keys(self, action_id: str) -> list[str] | None:
        """Keys the user chose for an action (portable text), None when the default holds."""
        value = self._text(f"keys/{action_id}", "\0")
        return None if value == "\0" else [key for key in value.split(" ; ") if key]

    def set_keys(self, action_id: str, keys: list[str] | None) -> None:
        if keys is None:
            self._store.remove(f"keys/{action_id}")
        else:
            self._store.setValue(f"keys/{action_id}", " ; ".join(keys))
