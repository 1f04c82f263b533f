"""Sets of keys of other programs, for hands that know those. What a set claims, other actions lose."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtGui import QKeySequence

PRESETS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "LiveMask": {},
    "CVAT": {
        "frame_previous": ("D", "Left"),
        "frame_next": ("F", "Right"),
        "frame_back_10": ("C", "Shift+Left"),
        "frame_on_10": ("V", "Shift+Right"),
        "play": ("Space",),
        "toggle_track": ("T",),
        "track_forward": ("Shift+F",),
        "track_backward": ("Shift+B",),
        "new_object": ("N",),
        "pin": ("K",),
        "zoom_fit": ("Ctrl+0", "Shift+0"),
    },
    "After Effects": {
        "frame_previous": ("PgUp", "Left"),
        "frame_next": ("PgDown", "Right"),
        "frame_back_10": ("Shift+PgUp", "Shift+Left"),
        "frame_on_10": ("Shift+PgDown", "Shift+Right"),
        "keyframe_previous": ("J",),
        "keyframe_next": ("K",),
        "doubt_previous": ("Shift+J",),
        "doubt_next": ("Shift+K",),
        "mark_in": ("B",),
        "mark_out": ("N",),
        "play": ("Space",),
        "toggle_track": ("T",),
        "track_forward": ("Shift+Ctrl+Right",),
        "track_backward": ("Shift+Ctrl+Left",),
        "tool_paint": ("Ctrl+B",),
        "tool_box": ("Q",),
        "new_object": ("Ctrl+N",),
        "pin": ("Alt+K",),
        "zoom_in": (".", "Ctrl++"),
        "zoom_out": (",", "Ctrl+-"),
        "step_forward": ("Ctrl+PgDown",),
        "step_backward": ("Ctrl+PgUp",),
    },
}


def preset_keys(name: str, defaults: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Keys of every action in a set.

    Args:
        name: one of PRESETS; KeyError otherwise.
        defaults: action id -> its default keys. What the set claims, other actions lose.
    """
    chosen = {action: keys for action, keys in PRESETS[name].items() if action in defaults}
    claimed = {QKeySequence(key).toString() for keys in chosen.values() for key in keys}
    return {
        action: list(chosen[action])
        if action in chosen
        else [key for key in keys if QKeySequence(key).toString() not in claimed]
        for action, keys in defaults.items()
    }
