"""Video codecs and cameras."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from engine.doctor.check import Check, Status, pip_install

DECODERS = ("h264", "hevc", "vp9", "prores")
ENCODERS = ("libx264", "libvpx-vp9", "prores_ks", "gif", "libopus")
_NEEDED = {"h264", "libx264"}  # phones and cameras record it; the overlay video is written with it


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    import av
    from av.codec.codec import UnknownCodecError

    try:
        av.Codec(name, mode)
    except UnknownCodecError:
        return False
    return True


def codecs() -> list[Check]:
    import av

    missing = [name for name in DECODERS if not _has_codec(name, "r")]
    missing += [name for name in ENCODERS if not _has_codec(name, "w")]
    if not missing:
        return [
            Check(
                "video codecs",
                Status.OK,
                f"PyAV {av.__version__} reads {', '.join(DECODERS)}; writes {', '.join(ENCODERS)}",
            )
        ]
    status = Status.FAIL if _NEEDED & set(missing) else Status.WARN
    remedy = f"{pip_install('--force-reinstall', '--only-binary=:all:', 'av')} (its wheels bring every codec)"
    return [Check("video codecs", status, f"PyAV {av.__version__} lacks {', '.join(missing)}", remedy)]


def cameras(devices: Path = Path("/dev")) -> list[Check]:
    """The cameras of this machine and, on Linux, whether this user may open them (elsewhere the system asks then)."""
    from engine.video.camera import list_cameras

    found = list_cameras()
    barred = [path.name for path in sorted(devices.glob("video[0-9]*")) if not os.access(path, os.R_OK | os.W_OK)]
    if barred:
        remedy = "sudo usermod -aG video $USER, then log out and in again"
        return [Check("cameras", Status.WARN, f"no permission to open {', '.join(barred)}", remedy)]
    return [
        Check("cameras", Status.OK, ", ".join(f"{camera.index}: {camera.name}" for camera in found) or "none found")
    ]
