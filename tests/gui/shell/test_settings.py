"""What is remembered between two starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PyQt6.QtCore import QSettings

from app.settings import MAX_RECENT, Settings
from app.window.engine_menu import merged_config
from engine.runtime.config import EngineConfig


def test_choices_survive_a_restart(make_shell: Any, tmp_path: Path) -> None:
    path = tmp_path / "kept.ini"
    first = make_shell(settings=path)
    first.open("/videos/clip.mp4")
    first.trigger("theme_light")
    first.trigger("opacity_75")
    first.window.canvas.set_brush_radius(33)
    first.window.canvas.set_fill_tolerance(21)
    first.trigger("pen_pressure")
    first.window.engine_menu.choose_working_size(240)
    first.window.engine_menu.choose_device("cpu")
    first.window.engine_menu.choose_live_rate(15.0)
    first.window.engine_menu.choose_model("resnet50")
    first.window.settings.set_last_folder("export", tmp_path)
    first.window.resize(781, 655)
    first.window.close_at_once()

    second = make_shell(settings=path)
    window = second.window
    assert window.settings.theme == "light"
    assert window.actions_table["theme_light"].isChecked()
    assert window.canvas.overlay_opacity == pytest.approx(0.75)
    assert window.canvas.brush_radius == 33
    assert window.tool_options.brush_value.text() == "66 px"
    assert window.canvas.fill_tolerance == 21
    assert not window.actions_table["pen_pressure"].isChecked()
    assert not window.canvas._pressure_sizes
    assert (window.width(), window.height()) == (781, 655)
    assert window.settings.recent == ["/videos/clip.mp4"]
    assert window.settings.last_folder("export") == str(tmp_path)
    config = merged_config(EngineConfig(), window.settings)
    assert config == EngineConfig(model="resnet50", device="cpu", working_size=240, live_rate=15.0)


def test_a_hidden_object_list_stays_hidden(make_shell: Any) -> None:
    first = make_shell()
    first.trigger("show_objects")
    assert first.window.object_dock.isHidden()
    first.window.close_at_once()
    second = make_shell()
    assert second.window.object_dock.isHidden()
    assert not second.window.actions_table["show_objects"].isChecked()
    second.trigger("show_objects")
    assert not second.window.object_dock.isHidden()


def test_the_command_line_comes_before_what_is_remembered(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "s.ini")
    settings.model, settings.device, settings.working_size, settings.recipe = "resnet50", "cpu", 240, "paper"
    asked = EngineConfig(model="resnet50-half", recipe="robust", device="cuda:1", working_size=480)
    assert merged_config(asked, settings) == asked


@settings(max_examples=25, deadline=None)
@given(
    theme=st.text(max_size=9),
    opacity=st.text(max_size=9),
    radius=st.text(max_size=9),
    model=st.text(max_size=9),
    size=st.text(max_size=9),
)
def test_a_damaged_file_never_breaks_the_start(
    tmp_path_factory: pytest.TempPathFactory, theme: str, opacity: str, radius: str, model: str, size: str
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "s.ini"
    store = QSettings(str(path), QSettings.Format.IniFormat)
    for key, value in (
        ("view/theme", theme), ("view/opacity", opacity), ("paint/brush_radius", radius), ("engine/model", model),
        ("engine/working_size", size), ("files/recent", 7), ("window/geometry", "nonsense"), ("engine/weights", theme),
    ):  # fmt: skip
        store.setValue(key, value)
    store.sync()
    read = Settings(path)
    assert read.theme in ("system", "light", "dark")
    assert 0 <= read.overlay_opacity <= 1
    assert 1 <= read.brush_radius <= 300
    assert read.geometry is None
    assert read.recent == []
    merged_config(EngineConfig(), read)


def test_recent_sources_are_few_unique_and_newest_first(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "s.ini")
    for number in range(MAX_RECENT + 3):
        settings.add_recent(f"/v/{number}.mp4")
    settings.add_recent("/v/5.mp4")
    assert len(settings.recent) == MAX_RECENT
    assert settings.recent[:2] == ["/v/5.mp4", f"/v/{MAX_RECENT + 2}.mp4"]
    assert len(set(settings.recent)) == MAX_RECENT
    settings.clear_recent()
    assert settings.recent == []


def test_recent_sources_open_from_menu_and_welcome(make_shell: Any) -> None:
    first = make_shell()
    first.open("/videos/a.mp4")
    first.window.close_at_once()
    second = make_shell()
    menu = second.window.menus["recent"]
    menu.aboutToShow.emit()
    assert "a.mp4" in menu.actions()[0].text()
    menu.actions()[0].trigger()
    second.pump()
    assert second.session.last("open") == ("open", "/videos/a.mp4")
    second.trigger("close_source")
    link = next(
        b for b in second.window.welcome.findChildren(type(second.window.welcome.file_button)) if b.text() == "a.mp4"
    )
    link.click()
    assert second.session.names().count("open") == 2


def test_a_folder_that_is_gone_is_not_offered(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "s.ini")
    settings.set_last_folder("open", tmp_path / "gone")
    assert settings.last_folder("open") == ""
