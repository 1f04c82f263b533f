"""Where the frame lies on the screen: zoom and position. Pure arithmetic, no Qt.

View coordinates are device pixels of the widget (what the screen has, not Qt's scaled ones), so that 100 % means one
frame pixel on one screen pixel on every display.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MIN_ZOOM = 1 / 32
MAX_ZOOM = 64.0
STEPS = (0.0625, 0.125, 0.25, 1 / 3, 0.5, 2 / 3, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
KEEP_VISIBLE = 48.0  # device pixels of the frame that panning cannot push out of the view


@dataclass(frozen=True)
class Viewport:
    """A frame of frame_width x frame_height pixels in a view of view_width x view_height device pixels.

    Attributes:
        zoom: device pixels per frame pixel.
        x, y: view coordinates of the frame's top left corner.
        fitted: the frame is kept fitted to the view when either changes its size.
    """

    frame_width: int = 0
    frame_height: int = 0
    view_width: int = 0
    view_height: int = 0
    zoom: float = 1.0
    x: float = 0.0
    y: float = 0.0
    fitted: bool = True

    # -- mapping -----------------------------------------------------------------------------------------------
    @property
    def left(self) -> int:
        """Device column of the frame's left edge: whole, so that pixels are sharp and panning can move pixels."""
        return round(self.x)

    @property
    def top(self) -> int:
        return round(self.y)

    def to_frame(self, x: float, y: float) -> tuple[float, float]:
        """View coordinates to frame coordinates."""
        return (x - self.left) / self.zoom, (y - self.top) / self.zoom

    def to_view(self, x: float, y: float) -> tuple[float, float]:
        """Frame coordinates to view coordinates."""
        return self.left + x * self.zoom, self.top + y * self.zoom

    # -- changing ----------------------------------------------------------------------------------------------
    def with_frame(self, width: int, height: int) -> Viewport:
        """Another frame size: shown fitted. The same size: the view stays."""
        if (width, height) == (self.frame_width, self.frame_height):
            return self
        return replace(self, frame_width=width, frame_height=height).fit()

    def with_view(self, width: int, height: int) -> Viewport:
        """The widget has another size; keeps the fit, or else the frame point in the middle."""
        if (width, height) == (self.view_width, self.view_height):
            return self
        resized = replace(self, view_width=width, view_height=height)
        if self.fitted:
            return resized.fit()
        shift_x, shift_y = (width - self.view_width) / 2, (height - self.view_height) / 2
        return replace(resized, x=self.x + shift_x, y=self.y + shift_y)._clamped()

    @property
    def fit_zoom(self) -> float:
        """The zoom at which the whole frame just fits."""
        if not (self.frame_width and self.frame_height and self.view_width and self.view_height):
            return 1.0
        fit = min(self.view_width / self.frame_width, self.view_height / self.frame_height)
        return min(max(fit, MIN_ZOOM), MAX_ZOOM)

    def fit(self) -> Viewport:
        """The whole frame, as large as the view allows, centred."""
        return replace(self, zoom=self.fit_zoom, fitted=True)._centred()

    def zoomed(self, zoom: float, x: float, y: float) -> Viewport:
        """Another zoom; the frame point at view (x, y) stays there."""
        zoom = min(max(zoom, min(MIN_ZOOM, self.fit_zoom)), MAX_ZOOM)
        if zoom == self.zoom:
            return self
        ratio = zoom / self.zoom
        moved = replace(self, zoom=zoom, x=x - (x - self.x) * ratio, y=y - (y - self.y) * ratio, fitted=False)
        return moved._clamped()

    def stepped(self, direction: int, x: float, y: float) -> Viewport:
        """The next larger (+1) or smaller (-1) of the round zooms."""
        if direction > 0:
            return self.zoomed(next((z for z in STEPS if z > self.zoom * 1.001), MAX_ZOOM), x, y)
        return self.zoomed(next((z for z in reversed(STEPS) if z < self.zoom * 0.999), MIN_ZOOM), x, y)

    def panned(self, dx: float, dy: float) -> Viewport:
        """Moved by device pixels; some of the frame always stays in sight."""
        return replace(self, x=self.x + dx, y=self.y + dy, fitted=False)._clamped()

    # -- inside ------------------------------------------------------------------------------------------------
    def _centred(self) -> Viewport:
        x = (self.view_width - self.frame_width * self.zoom) / 2
        y = (self.view_height - self.frame_height * self.zoom) / 2
        return replace(self, x=x, y=y)

    def _clamped(self) -> Viewport:
        return replace(
            self,
            x=_keep_visible(self.x, self.frame_width * self.zoom, self.view_width),
            y=_keep_visible(self.y, self.frame_height * self.zoom, self.view_height),
        )


def _keep_visible(position: float, size: float, view: int) -> float:
    least = min(KEEP_VISIBLE, size, view / 2)
    return min(max(position, least - size), view - least)
