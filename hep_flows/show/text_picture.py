"""Text as a picture in a file: a plan in a document or a talk."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FONT_SIZE = 9.0
_LINE_HEIGHT, _CHARACTER_WIDTH, _MARGIN = 0.165, 0.0775, 0.2  # inches, for that size of DejaVu Sans Mono


def save_text_picture(text: str, path: Path) -> Path:
    """Draw text in a font of fixed width into a file as large as the text, and give its path.

    Parameters
    ----------
    text : str
        The lines.
    path : Path
        The ending decides the format; the folder is made.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = text.rstrip().splitlines() or [""]
    width = max(len(line) for line in lines) * _CHARACTER_WIDTH + 2 * _MARGIN
    height = len(lines) * _LINE_HEIGHT + 2 * _MARGIN
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    for i, line in enumerate(lines):
        y = 1 - (_MARGIN + (i + 0.8) * _LINE_HEIGHT) / height
        # Without mathtext: a dollar sign in a label is part of the text here.
        figure.text(_MARGIN / width, y, line, family="monospace", size=_FONT_SIZE, va="baseline", parse_math=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
