"""Clips made by ffmpeg at test time, and ffprobe as the outside oracle."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from engine.types import Frame

# name -> arguments after the input; the input is a moving test picture, 128 x 96, 25 frames per second, 3 s
RECIPES: dict[str, str] = {
    "b_frames.mp4": "-c:v libx264 -g 20 -bf 3",
    "open_gop.mp4": "-c:v libx264 -g 20 -bf 3 -x264-params open-gop=1",
    "open_gop_hevc.mp4": "-c:v libx265 -x265-params open-gop=1:keyint=15:log-level=error",
    "intra_refresh.mp4": "-c:v libx264 -x264-params intra-refresh=1:keyint=20",
    "fragments.mp4": "-c:v libx264 -g 20 -bf 3 -movflags frag_keyframe+empty_moov",
    "vfr.mkv": "-vf select='not(mod(n,3))+not(mod(n,7))' -vsync vfr -c:v libx264 -g 12 -bf 3",
    "vfr.mp4": "-vf select='not(mod(n,3))+not(mod(n,7))' -vsync vfr -c:v libx264 -g 12 -bf 3",
    "intra.avi": "-c:v mjpeg -q:v 4",
    "intra.mov": "-c:v prores_ks",
    "b_frames.ts": "-c:v libx264 -g 20 -bf 3",
    "mpeg2.mpg": "-c:v mpeg2video -bf 2 -g 12",
    "raw.h264": "-c:v libx264 -g 20 -bf 3",
    "b_frames.avi": "-c:v libx264 -g 20 -bf 3",
    "interlaced.ts": "-vf interlace -c:v libx264 -flags +ildct+ilme",
    "palette.gif": "-r 25",
    "ten_bit.mp4": "-c:v libx264 -pix_fmt yuv420p10le -g 20",
    "grey.mp4": "-c:v libx264 -pix_fmt gray -g 20",
    "alpha.mov": "-c:v qtrle -pix_fmt argb",
    "faststart.mp4": "-c:v libx264 -g 20 -bf 3 -movflags +faststart",
}


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-nostdin", *map(str, arguments)], check=True, timeout=60)


def make_clip(path: Path, arguments: list[str], source: str) -> None:
    options = list(arguments)
    if "-pix_fmt" not in options and "prores_ks" not in options and path.suffix != ".gif":
        options += ["-pix_fmt", "yuvj420p" if "mjpeg" in options else "yuv420p"]
    ffmpeg("-f", "lavfi", "-i", source, *options, path)


def probe_times(path: Path) -> list[float]:
    """Presentation times in seconds of every frame that ffprobe decodes, from the first one."""
    command = [
        "ffprobe",
        "-v",
        "quiet",
        "-select_streams",
        "v:0",
        "-show_entries",
        "frame=best_effort_timestamp_time",
        "-of",
        "csv=p=0",
    ]
    lines = subprocess.run([*command, str(path)], check=True, capture_output=True, text=True).stdout.split()
    times = [float(line.strip(",")) for line in lines if line.strip(",") not in ("", "N/A")]
    return [time - times[0] for time in times]


def probe_count(path: Path, what: str = "frames") -> int:
    """Number of frames that ffprobe decodes, or of packets that it reads."""
    command = ["ffprobe", "-v", "quiet", "-select_streams", "v:0", f"-count_{what}"]
    command += ["-show_entries", f"stream=nb_read_{what}", "-of", "csv=p=0", str(path)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(text.split()[0].strip(","))


def identity(frame: Frame) -> tuple[int, float, str]:
    """What must be the same however a frame was reached."""
    return frame.index, frame.time_s, hashlib.sha256(frame.rgb.tobytes()).hexdigest()
