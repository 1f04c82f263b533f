"""The one table of actions. Menus, tool tips, buttons and the F1 sheet are all made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PyQt6.QtCore import QObject, Qt
from PyQt6.QtGui import QAction, QActionGroup, QKeySequence
from PyQt6.QtWidgets import QWidget

from app.i18n import told
from app.settings import Settings


@dataclass(frozen=True)
class ActionSpec:
    """One thing the user can do.

    Attributes:
        id: name in the code and in the settings file.
        text: menu text, with "&" before its mnemonic.
        keys: default keys, portable text; the first one is shown.
        tip: one sentence for the tool tip and the F1 sheet.
        group: menu path: "File", or "Edit/Tool" for a sub-menu. Groups come in the order of the table.
        icon: name of an SVG in assets/icons, "" for none.
        checkable: a switch rather than a command.
        exclusive: name of the set in which only one is on.
        section: a separator goes between entries of different sections of one menu.
    """

    id: str
    text: str
    keys: tuple[str, ...]
    tip: str
    group: str
    icon: str = ""
    checkable: bool = False
    exclusive: str = ""
    section: int = 0

    @property
    def plain_text(self) -> str:
        return told(self.text).replace("&", "").rstrip("…")


@dataclass(frozen=True)
class MenuSlot:
    """Place of a sub-menu whose entries are made at run time (cameras, recent files, models)."""

    id: str
    text: str
    group: str
    section: int = 0


def _tools() -> tuple[ActionSpec, ...]:
    rows = (
        ("paint", "&Paint", "P", "Paint the selected object with the brush; the right button erases"),
        ("erase", "&Erase", "E", "Take paint away with the brush"),
        (
            "polygon",
            "Poly&gon and lasso",
            "G",
            "Click around the object or draw around it; Enter closes the outline, Esc gives up",
        ),
        ("box", "Bo&x", "R", "Drag a rectangle of the selected object"),
        (
            "scribble",
            "&Smart scribble",
            "S",
            "Stroke inside the object (left) and outside (right), or drag a box with Shift; Enter keeps the mask",
        ),
        ("fill", "F&ill", "U", "Fill the area of one colour under the pointer; with Shift the whole outline"),
    )
    return tuple(
        ActionSpec(f"tool_{name}", text, (key,), tip, "Edit/Tool", name, True, "tool") for name, text, key, tip in rows
    )


def _object_slots() -> tuple[ActionSpec, ...]:
    return tuple(
        ActionSpec(
            f"object_{slot}",
            f"Select object &{slot % 10}" if slot < 10 else "Select object 1&0",
            (str(slot % 10),),
            f"Paint object {slot} from now on",
            "Object",
            section=1,
        )
        for slot in range(1, 11)
    )


def _opacities() -> tuple[ActionSpec, ...]:
    return tuple(
        ActionSpec(f"opacity_{p}", f"{p} %", (), f"Show the mask at {p} % opacity", "View/Overlay opacity", section=1)
        for p in (25, 50, 75, 100)
    )


def _styles() -> tuple[ActionSpec, ...]:
    rows = (
        ("fill", "&Fill", "Tint the objects in their colours"),
        ("outline", "&Outline", "Draw the outlines of the objects only"),
        ("pattern", "&Pattern", "Hatch every object differently, to tell them apart without colours"),
    )
    return tuple(
        ActionSpec(f"style_{name}", text, (), tip, "View/Overlay style", "", True, "style") for name, text, tip in rows
    )


def _views() -> tuple[ActionSpec, ...]:
    rows = (
        ("overlay", "&Overlay", "See the picture with the mask over it"),
        ("matte", "&Matte", "See the objects white on black"),
        ("black", "Cut-out on &black", "See the objects alone, on black"),
        ("white", "Cut-out on &white", "See the objects alone, on white"),
        ("green", "Cut-out on &green", "See the objects alone, on the green of a studio"),
        ("checker", "Cut-out on &checks", "See the objects alone, on checks as for transparency"),
        ("blur", "B&lurred background", "See the objects sharp in the blurred picture"),
    )
    return tuple(
        ActionSpec(f"view_{name}", text, (f"Alt+{number}",), tip, "View/Live view", "", True, "view")
        for number, (name, text, tip) in enumerate(rows, 1)
    )


TABLE: tuple[ActionSpec | MenuSlot, ...] = (
    ActionSpec("open_video", "&Open video…", ("Ctrl+O",), "Open a video file", "File", "open"),
    ActionSpec("open_folder", "Open &folder…", ("Ctrl+U",), "Open a folder of numbered pictures", "File", "folder"),
    ActionSpec("open_project", "Open &project…", ("Ctrl+P",), "Go on with saved work", "File"),
    MenuSlot("cameras", "Open &camera", "File"),
    ActionSpec("open_stream", "Open &stream URL…", ("Ctrl+L",), "Open an RTSP or HTTP stream", "File", "stream"),
    ActionSpec(
        "open_screen", "Open scree&n region…", ("Ctrl+Shift+L",), "Track in a part of the screen", "File", "stream"
    ),
    MenuSlot("recent", "Open &recent", "File"),
    ActionSpec("open_demo", "Try the &demo", (), "Open the bundled clip with its mask and track it", "File", "demo"),
    ActionSpec(
        "save_project",
        "S&ave project",
        ("Ctrl+S",),
        "Keep the work, to go on later exactly here",
        "File",
        "save",
        section=1,
    ),
    ActionSpec(
        "save_project_as", "Save projec&t as…", ("Ctrl+Shift+S",), "Keep the work under another name", "File", section=1
    ),
    ActionSpec(
        "recover", "Recover unsaved &work…", (), "Go on with work that was not closed last time", "File", section=1
    ),
    ActionSpec(
        "import_mask", "I&mport mask…", ("Ctrl+I",), "Use a PNG as the mask of this frame", "File", "import", section=2
    ),
    ActionSpec(
        "export", "&Export…", ("Ctrl+E",), "Write videos, cut-outs or data of the masks", "File", "export", section=2
    ),
    MenuSlot("virtual_camera", "V&irtual camera", "File", section=2),
    ActionSpec(
        "virtual_overlay",
        "&Overlay as shown",
        ("Ctrl+Shift+R",),
        "Let other programs see the picture with its overlay as a camera",
        "File/Virtual camera",
        "",
        True,
    ),
    ActionSpec(
        "virtual_green",
        "&Cut-out on green",
        ("Ctrl+Shift+G",),
        "Let other programs see the objects before green as a camera",
        "File/Virtual camera",
        "",
        True,
    ),
    ActionSpec("close_source", "Close &video", ("Ctrl+W",), "Close what is open", "File", section=3),
    ActionSpec("quit", "&Quit", ("Ctrl+Q",), "Close LiveMask", "File", section=3),
    ActionSpec("undo", "&Undo", ("Ctrl+Z",), "Take the last edit back", "Edit", "undo"),
    ActionSpec("redo", "&Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Do the edit again that was taken back", "Edit", "redo"),
    ActionSpec(
        "paste_mask",
        "&Paste mask",
        ("Ctrl+V",),
        "Use the picture on the clipboard as the mask of this frame",
        "Edit",
        section=1,
    ),
    ActionSpec(
        "copy_previous",
        "Copy the &mask before",
        ("Ctrl+Shift+V",),
        "Use the nearest earlier frame's mask on this frame too",
        "Edit",
        section=1,
    ),
    ActionSpec(
        "clear_mask", "&Clear this frame's mask", ("Backspace",), "Forget the mask of this frame", "Edit", section=1
    ),
    ActionSpec("pin", "&Keep as keyframe", ("K",), "Make the mask of this frame a keyframe", "Edit", "pin", section=1),
    MenuSlot("tools", "&Tool", "Edit", section=2),
    *_tools(),
    ActionSpec("brush_smaller", "Brush s&maller", ("[",), "Make the brush smaller", "Edit/Tool", section=1),
    ActionSpec("brush_larger", "Brush &larger", ("]",), "Make the brush larger", "Edit/Tool", section=1),
    ActionSpec(
        "pen_pressure",
        "Pen p&ressure sizes the brush",
        (),
        "Let the pressure of a pen make the brush larger and smaller",
        "Edit/Tool",
        checkable=True,
        section=1,
    ),
    ActionSpec("new_object", "&New object", ("N",), "Add an object and paint it", "Object", "plus"),
    ActionSpec(
        "delete_object", "&Delete object", ("Delete",), "Remove the selected object from every frame", "Object", "trash"
    ),
    ActionSpec("merge_object", "&Merge into…", ("Ctrl+M",), "Make the selected object a part of another one", "Object"),
    ActionSpec(
        "solo",
        "&Solo",
        ("Shift+S",),
        "Show the selected object alone; once more shows the others again",
        "Object",
        "",
        True,
    ),
    *_object_slots(),
    ActionSpec("object_next", "Ne&xt object", ("Ctrl+Down",), "Paint the next object of the list", "Object", section=1),
    ActionSpec(
        "object_previous", "&Previous object", ("Ctrl+Up",), "Paint the object before in the list", "Object", section=1
    ),
    ActionSpec("object_up", "Move &up", ("Alt+Up",), "Move the selected object up in the list", "Object", section=2),
    ActionSpec(
        "object_down", "Move do&wn", ("Alt+Down",), "Move the selected object down in the list", "Object", section=2
    ),
    ActionSpec(
        "toggle_track",
        "&Track / pause",
        ("Space",),
        "Track what is painted, or pause; plays when nothing is painted yet",
        "Track",
        "play",
    ),
    ActionSpec(
        "play", "&Play without tracking", ("Shift+Space",), "Watch the video with its masks", "Track", "play_plain"
    ),
    ActionSpec("track_forward", "Track &forward", ("F",), "Carry the masks on to the end", "Track", "track_forward"),
    ActionSpec("track_backward", "Track &backward", ("B",), "Carry the masks to the start", "Track", "track_backward"),
    ActionSpec("step_forward", "Track one frame for&ward", (".",), "Track one frame on", "Track", "step_forward"),
    ActionSpec("step_backward", "Track one frame b&ack", (",",), "Track one frame back", "Track", "step_backward"),
    ActionSpec(
        "track_to_keyframe", "Track to &next keyframe", ("Shift+F",), "Track forward to the next keyframe", "Track"
    ),
    ActionSpec(
        "track_back_to_keyframe",
        "Track back to previous ke&yframe",
        ("Shift+B",),
        "Track backward to the keyframe before",
        "Track",
    ),
    ActionSpec(
        "track_range", "Track the mark&ed range", ("Ctrl+Shift+F",), "Track from the in mark to the out mark", "Track"
    ),
    ActionSpec(
        "retrack",
        "Re-track between keyframes",
        ("Shift+K",),
        "Track the frames around this one anew from the keyframes on both sides, and blend the two",
        "Track",
    ),
    ActionSpec("stop", "&Stop", ("Ctrl+.",), "Stop playing or tracking", "Track", "stop"),
    ActionSpec(
        "freeze", "Free&ze live picture", ("Z",), "Hold the live picture to paint on it", "Track", "freeze", True
    ),
    ActionSpec(
        "replay",
        "Instant replay",
        ("Shift+Z",),
        "See the last seconds of a live picture again, and correct them",
        "Track",
        "replay",
        True,
    ),
    ActionSpec(
        "record",
        "&Record…",
        ("Ctrl+R",),
        "Write every tracked live frame, its mask and both as videos to a folder",
        "Track",
        "record",
        True,
    ),
    MenuSlot("go", "&Go to", "Track", section=1),
    ActionSpec("frame_previous", "&Previous frame", ("Left",), "One frame back", "Track/Go to"),
    ActionSpec("frame_next", "&Next frame", ("Right",), "One frame on", "Track/Go to"),
    ActionSpec("frame_back_10", "10 frames &back", ("Shift+Left",), "Ten frames back", "Track/Go to"),
    ActionSpec("frame_on_10", "10 frames &on", ("Shift+Right",), "Ten frames on", "Track/Go to"),
    ActionSpec("keyframe_previous", "Previous &keyframe", ("PgUp",), "The keyframe before", "Track/Go to"),
    ActionSpec("keyframe_next", "Next k&eyframe", ("PgDown",), "The keyframe after", "Track/Go to"),
    ActionSpec(
        "doubt_previous",
        "Previous &unsure frame",
        ("Shift+J",),
        "Where an object was unsure or lost before",
        "Track/Go to",
    ),
    ActionSpec(
        "doubt_next", "Ne&xt unsure frame", ("J",), "Where an object next becomes unsure or is lost", "Track/Go to"
    ),
    ActionSpec("to_start", "&Start", ("Home",), "The first frame", "Track/Go to", "to_start"),
    ActionSpec("to_end", "En&d", ("End",), "The last frame", "Track/Go to", "to_end"),
    ActionSpec(
        "retrack_auto",
        "Re-trac&k after corrections",
        (),
        "Once a correction is painted, track the frames up to the keyframes beside it anew",
        "Track",
        "",
        True,
        section=2,
    ),
    ActionSpec(
        "lost_sound",
        "Sound when an object is unsure or &lost",
        (),
        "Make a sound when a live object becomes unsure or is lost",
        "Track",
        "",
        True,
        section=2,
    ),
    ActionSpec("mark_in", "Set &in mark", ("I",), "Track backward no further than here", "Track", section=2),
    ActionSpec("mark_out", "Set &out mark", ("O",), "Track forward no further than here", "Track", section=2),
    ActionSpec("clear_marks", "Clear &marks", ("Shift+I",), "Track to the ends again", "Track", section=2),
    ActionSpec("clear_tracking", "&Clear tracking…", (), "Drop the tracked masks; keyframes stay", "Track", section=3),
    ActionSpec("zoom_in", "Zoom &in", ("Ctrl++", "Ctrl+="), "Magnify the picture", "View", "zoom_in"),
    ActionSpec("zoom_out", "Zoom &out", ("Ctrl+-",), "Make the picture smaller", "View", "zoom_out"),
    ActionSpec("zoom_fit", "&Fit to window", ("Ctrl+0",), "Show the whole picture", "View", "fit"),
    ActionSpec("zoom_100", "&Actual size", ("Ctrl+1",), "One picture pixel per screen pixel", "View", "actual"),
    MenuSlot("time_line", "Time li&ne", "View", section=1),
    ActionSpec("timeline_in", "&Magnify", ("=", "+"), "Show fewer frames on the time line", "View/Time line"),
    ActionSpec("timeline_out", "&Reduce", ("-",), "Show more frames on the time line", "View/Time line"),
    ActionSpec("timeline_fit", "&All frames", ("\\",), "Show every frame on the time line", "View/Time line"),
    ActionSpec(
        "show_thumbnails",
        "Small &pictures",
        ("Ctrl+Shift+T",),
        "Show small pictures of the frames below the time line",
        "View/Time line",
        "",
        True,
    ),
    ActionSpec(
        "hide_overlay", "&Hide overlay", ("H",), "See the picture without its mask", "View", "eye", True, section=1
    ),
    MenuSlot("opacity", "Overlay o&pacity", "View", section=1),
    MenuSlot("overlay_style", "Overlay &style", "View", section=1),
    *_styles(),
    ActionSpec("style_next", "&Next style", ("L",), "Fill, outline, pattern in turn", "View/Overlay style", section=1),
    MenuSlot("live_view", "Live &view", "View", section=1),
    *_views(),
    ActionSpec(
        "view_next",
        "&Next view",
        ("V",),
        "The overlay, the matte and the cut-outs in turn",
        "View/Live view",
        section=1,
    ),
    ActionSpec(
        "explain",
        "&Why this label?",
        ("W",),
        "Show which earlier frames decided the pixel under the pointer",
        "View",
        section=1,
    ),
    ActionSpec("opacity_less", "&Fainter", ("Shift+[", "{"), "Make the mask fainter", "View/Overlay opacity"),
    ActionSpec("opacity_more", "&Stronger", ("Shift+]", "}"), "Make the mask stronger", "View/Overlay opacity"),
    *_opacities(),
    ActionSpec(
        "show_objects", "Object &list", ("Ctrl+Shift+O",), "Show or hide the object list", "View", "", True, section=2
    ),
    ActionSpec(
        "show_motion",
        "&Motion",
        ("Ctrl+Shift+M",),
        "Show how things move, as the engine sees it",
        "View",
        "",
        True,
        section=2,
    ),
    MenuSlot("theme", "&Theme", "View", section=2),
    ActionSpec("theme_system", "As the &system", (), "Follow the system's theme", "View/Theme", "", True, "theme"),
    ActionSpec("theme_light", "&Light", (), "Light window", "View/Theme", "", True, "theme"),
    ActionSpec("theme_dark", "&Dark", (), "Dark window", "View/Theme", "", True, "theme"),
    MenuSlot("language", "Lan&guage", "View", section=2),
    ActionSpec(
        "language_system", "As the &system", (), "Follow the system's language", "View/Language", "", True, "lang"
    ),
    ActionSpec("language_en", "&English", (), "English from the next start on", "View/Language", "", True, "lang"),
    ActionSpec("language_de", "&Deutsch", (), "German from the next start on", "View/Language", "", True, "lang"),
    ActionSpec("full_screen", "F&ull screen", ("F11",), "Use the whole screen", "View", "", True, section=3),
    MenuSlot("model", "&Model", "Engine"),
    MenuSlot("working_size", "&Working size", "Engine"),
    MenuSlot("live_rate", "&Live rate", "Engine"),
    MenuSlot("device", "&Device", "Engine"),
    MenuSlot("backend", "&Backend", "Engine"),
    MenuSlot("recipe", "&Recipe", "Engine"),
    ActionSpec("keys", "&Keys and mouse", ("F1",), "Every key and mouse button on one sheet", "Help", "keyboard"),
    ActionSpec("remap_keys", "Chan&ge keys…", (), "Give the actions keys of your own", "Help"),
    ActionSpec("tour", "&First steps", (), "Show the three first steps again", "Help"),
    ActionSpec(
        "diagnostics", "&Diagnostics…", (), "What this machine offers, to copy into a report", "Help", section=1
    ),
    ActionSpec("about", "&About LiveMask", (), "Version and licences", "Help", "info", section=1),
)

ACTIONS: tuple[ActionSpec, ...] = tuple(entry for entry in TABLE if isinstance(entry, ActionSpec))

# Held down, these go on; everything else happens once per press.
_REPEATING = frozenset(
    ("frame_previous", "frame_next", "frame_back_10", "frame_on_10", "step_forward", "step_backward", "undo", "redo",
     "brush_smaller", "brush_larger", "opacity_less", "opacity_more", "zoom_in", "zoom_out",
     "timeline_in", "timeline_out", "object_next", "object_previous", "object_up", "object_down")
)  # fmt: skip

MOUSE: tuple[tuple[str, str], ...] = (
    ("Left button", "Paint with the chosen tool"),
    ("Right button, Ctrl + left", "Erase; with Shift every object"),
    ("Middle click", "Show or hide an object"),
    ("Shift + middle click", "Select an object"),
    ("Middle drag, Space + drag", "Move the picture"),
    ("Wheel", "Zoom at the pointer"),
    ("Ctrl + wheel", "Brush size, or tolerance of the fill"),
    ("Enter, Esc, Backspace", "Polygon, lasso, smart scribble: finish, give up, one step back"),
    ("Left, right, Shift + drag", "Smart scribble: inside, outside, a box around the object"),
    ("Drag in the object list", "Change the order of the objects"),
    ("Drag on the time line", "Go to a frame"),
    ("Ctrl + wheel on the time line", "Magnify it; the wheel alone and the middle button move it"),
    ("Drop on the window", "Open it; a PNG mask is used as mask"),
)


MENU_TITLES = {"File": "&File", "Edit": "&Edit", "Object": "&Object", "Track": "&Track", "View": "&View",
               "Engine": "E&ngine", "Help": "&Help"}  # fmt: skip


def top_group(entry: ActionSpec | MenuSlot) -> str:
    return entry.group.split("/")[0]


def group_title(entry: ActionSpec | MenuSlot) -> str:
    """The menu an entry is in, in the user's language."""
    return told(MENU_TITLES[top_group(entry)]).replace("&", "")


def native_key(key: str) -> str:
    """The key as this platform writes it ("Ctrl+Z", or a cloverleaf and Z)."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)


def conflicts(keys: dict[str, Iterable[str]]) -> list[tuple[str, str, str]]:
    """Keys that two actions claim: (key, first action id, second action id)."""
    owner: dict[str, str] = {}
    found = []
    for action_id, its_keys in keys.items():
        for key in its_keys:
            normal = QKeySequence(key).toString()
            if owner.setdefault(normal, action_id) != action_id:
                found.append((normal, owner[normal], action_id))
    return found


class Actions(QObject):
    """One QAction per row of the table, with the user's own keys where they chose some."""

    def __init__(self, window: QWidget, settings: Settings) -> None:
        super().__init__(window)
        self._settings = settings
        self._actions: dict[str, QAction] = {}
        groups: dict[str, QActionGroup] = {}
        for spec in ACTIONS:
            action = QAction(told(spec.text), window)
            action.setObjectName(spec.id)
            action.setCheckable(spec.checkable)
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
            # Text heuristics would move "Quit", "About" and "Preferences" out of their menus on macOS only.
            action.setAutoRepeat(spec.id in _REPEATING)
            action.setIconVisibleInMenu(not spec.checkable)  # there the tick says it
            action.setMenuRole(QAction.MenuRole.NoRole)
            if spec.exclusive:
                groups.setdefault(spec.exclusive, QActionGroup(self)).addAction(action)
            window.addAction(action)
            self._actions[spec.id] = action
        self.apply_keys()

    def __getitem__(self, action_id: str) -> QAction:
        return self._actions[action_id]

    def on(self, action_id: str, slot: Callable[[], object]) -> None:
        """Call `slot` when the action is chosen (the checked state is not passed on)."""
        self._actions[action_id].triggered.connect(lambda _checked=False: slot())

    def on_switch(self, action_id: str, slot: Callable[[bool], object]) -> None:
        """Call `slot` with the new state when the user turns a switch."""
        self._actions[action_id].triggered.connect(slot)

    def keys(self, action_id: str) -> list[str]:
        chosen = self._settings.keys(action_id)
        if chosen is not None:
            return chosen
        return next(list(spec.keys) for spec in ACTIONS if spec.id == action_id)

    def set_keys(self, action_id: str, keys: list[str] | None) -> None:
        """Remember keys of the user's own, None for the default, and apply them."""
        self._settings.set_keys(action_id, keys)
        self.apply_keys()

    def apply_keys(self) -> None:
        for spec in ACTIONS:
            keys = self.keys(spec.id)
            action = self._actions[spec.id]
            action.setShortcuts([QKeySequence(key) for key in keys])
            shown = f" ({native_key(keys[0])})" if keys else ""
            action.setToolTip(f"{spec.plain_text}{shown}\n{told(spec.tip)}")
