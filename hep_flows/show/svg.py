"""Boxes, lines and words as SVG, with nothing that a plain viewer does not know: no style sheet, no script."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
CHARACTER, SMALL = 7.4, 6.7
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours of one plug-in: of boxes, of frames, of lines and borders, of words."""

    light: str
    pale: str
    line: str
    dark: str


_KNOWN = {
    "servicex": Colours("#dbeafe", "#f5f9ff", "#3b82f6", "#1e40af"),
    "awkward": Colours("#dcfce7", "#f5fdf8", "#22a559", "#166534"),
    "fused": Colours("#ffedd5", "#fffaf3", "#f97316", "#9a3412"),
    "hist": Colours("#f3e8ff", "#fcf9ff", "#a855f7", "#6b21a8"),
    "coffea": Colours("#fef3c7", "#fffdf3", "#ca8a04", "#854d0e"),
}
_OTHERS = (
    Colours("#ccfbf1", "#f4fefc", "#14b8a6", "#115e59"),
    Colours("#fce7f3", "#fff7fb", "#ec4899", "#9d174d"),
    Colours("#e2e8f0", "#f8fafc", "#64748b", "#334155"),
)


def colours_of(plugins: Sequence[str]) -> dict[str, Colours]:
    """Give each plug-in its colours: the built-in ones always the same, others in order."""
    others = [p for p in plugins if p not in _KNOWN]
    return {p: _KNOWN[p] if p in _KNOWN else _OTHERS[others.index(p) % len(_OTHERS)] for p in plugins}


class Canvas:
    """Collects shapes, and gives the drawing."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self._shapes: list[str] = []

    def widen(self, width: float) -> None:
        """Make the drawing at least that wide."""
        self.width = max(self.width, width)

    def frame(self, x: float, y: float, width: float, height: float, colours: Colours) -> None:
        """Draw the border of a task."""
        self._rectangle(x, y, width, height, 10, f'fill="{colours.pale}" stroke="{colours.line}" stroke-width="1.2"')

    def box(  # noqa: PLR0913, PLR0917
        self, x: float, y: float, width: float, height: float, title: str, colours: Colours, hint: str, *, dashed: bool
    ) -> None:
        """Draw a step; the hint shows when a mouse is over it."""
        fill = "#ffffff" if dashed else colours.light
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self._shapes.append(f"<g><title>{_text(hint)}</title>")
        self._rectangle(x, y, width, height, 5, f'fill="{fill}" stroke="{colours.line}" stroke-width="1.2"{dashes}')
        self.text(x + width / 2, y + height / 2 + 4, title, "#0f172a", at="middle")
        self._shapes.append("</g>")

    def swatch(self, x: float, y: float, colours: Colours) -> None:
        """Draw the sign of a plug-in in the legend."""
        self._rectangle(x, y, 12, 12, 3, f'fill="{colours.light}" stroke="{colours.line}" stroke-width="1.2"')

    def line(self, points: Sequence[Point], colour: str, width: float) -> None:
        """Draw a smooth line through points that lie below each other, with an arrow head at its end."""
        (x, y), *rest = points
        path = [f"M{x:.1f},{y:.1f}"]
        for a, b in rest:
            half = (y + b) / 2
            path.append(f"C{x:.1f},{half:.1f} {a:.1f},{half:.1f} {a:.1f},{b:.1f}")
            x, y = a, b
        self._shapes.append(f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        self._shapes.append(f'<path d="M{x - 3.5:.1f},{y - 6:.1f} L{x:.1f},{y:.1f} L{x + 3.5:.1f},{y - 6:.1f} Z" fill="{colour}"/>')

    def text(  # noqa: PLR0913
        self,
        x: float,
        y: float,
        words: str,
        colour: str,
        *,
        bold: bool = False,
        small: bool = False,
        at: str = "start",
        behind: str = "",
    ) -> None:
        """Write words; ``behind`` is a colour that keeps lines below them from making them hard to read."""
        width = len(words) * (SMALL if small else CHARACTER)
        left = x - width / 2 if at == "middle" else x
        self.widen(left + width + 12)
        if behind:
            self._rectangle(left - 2, y - 11, width + 4, 14, 2, f'fill="{behind}" fill-opacity="0.85"')
        weight = ' font-weight="bold"' if bold else ""
        size = 11 if small else 12
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{at}"{weight} '
            f'xml:space="preserve">{_text(words)}</text>'
        )

    def svg(self, title: str) -> str:
        """Give the drawing."""
        width, height = round(self.width), round(self.height)
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        return "\n".join(
            [
                f'{head} font-family="{FONT}" role="img">',
                f"<title>{_text(title)}</title>",
                f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
                *self._shapes,
                "</svg>",
            ]
        )

    def _rectangle(self, x: float, y: float, width: float, height: float, radius: float, look: str) -> None:
        self._shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}" {look}/>')


def _text(words: str) -> str:
    """Give words as XML text: escaped, and without the control characters that XML does not allow."""
    return escape("".join([c if c >= " " or c in "\n\t" else " " for c in words]))
