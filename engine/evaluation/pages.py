"""Reports as one HTML page and as Markdown with its pictures beside it, from the same sections."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import ExportError
from engine.evaluation.report import markdown_table, text_table, write_text
from engine.video.atomic import replacing

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 82rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; }
figure { margin: 1rem 0; }
figcaption { color: #555; }
@media (prefers-color-scheme: dark) { body { background: #1b1b1b; color: #ddd; } th, td { border-color: #444; }
  figcaption { color: #aaa; } }
"""


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption; `name` is its file name without the ending."""

    name: str
    png: bytes = field(repr=False)
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, bullet points, tables (the first row is the header) and pictures, in this order."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    tables: tuple[Sequence[Sequence[str]], ...] = ()
    pictures: tuple[Picture, ...] = ()


def as_html(title: str, sections: Sequence[Section]) -> str:
    """One page that needs no other file and no network."""
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        parts.append(f"<h2>{html.escape(section.heading)}</h2>")
        parts += [f"<p>{html.escape(text)}</p>" for text in section.paragraphs]
        if section.points:
            parts.append("<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in section.points) + "</ul>")
        parts += [_html_table(rows) for rows in section.tables]
        for picture in section.pictures:
            data = base64.b64encode(picture.png).decode("ascii")
            caption = html.escape(picture.caption)
            parts.append(
                f'<figure><img src="data:image/png;base64,{data}" alt="{caption}"><figcaption>{caption}</figcaption>'
                "</figure>"
            )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    head, *rest = rows
    return f"<table>\n{row(head, 'th')}\n" + "\n".join(row(cells, "td") for cells in rest) + "\n</table>"


def as_markdown(title: str, sections: Sequence[Section], pictures_at: str) -> str:
    """The same in Markdown; pictures are linked to in the folder `pictures_at`."""
    lines = [f"# {title}", ""]
    for section in sections:
        lines += [f"## {section.heading}", ""]
        for text in section.paragraphs:
            lines += [text, ""]
        if section.points:
            lines += [*(f"- {text}" for text in section.points), ""]
        for rows in section.tables:
            lines += [*markdown_table([[cell.replace("|", "\\|") for cell in row] for row in rows]), ""]
        for picture in section.pictures:
            lines += [f"![{picture.caption}]({pictures_at}/{picture.name}.png)", "", picture.caption, ""]
    return "\n".join(lines)


def as_text(sections: Sequence[Section]) -> str:
    """The same for the terminal, without pictures."""
    lines: list[str] = []
    for section in sections:
        lines += [section.heading, *section.paragraphs, *(f"- {text}" for text in section.points)]
        for rows in section.tables:
            lines += text_table(rows)
        lines.append("")
    return "\n".join(lines)


def write_pages(folder: Path, stem: str, title: str, sections: Sequence[Section]) -> None:
    """Write STEM.html, STEM.md and the pictures of the latter in STEM-pictures/ below `folder`.

    Raises:
        ExportError: they cannot be written.
    """
    pictures = [picture for section in sections for picture in section.pictures]
    beside = folder / f"{stem}-pictures"
    try:
        if pictures:
            beside.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            with replacing(beside / f"{picture.name}.png") as temporary:
                temporary.write_bytes(picture.png)
    except OSError as error:
        raise ExportError(
            f"The pictures of {stem} could not be written to {beside}: {error.strerror or error}.", "Make room."
        ) from error
    write_text(folder / f"{stem}.md", as_markdown(title, sections, beside.name))
    write_text(folder / f"{stem}.html", as_html(title, sections))


def file_name(text: str) -> str:
    """`text` as a file name: everything but letters, digits, dots and dashes becomes a dash."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip(".-") or "picture"
