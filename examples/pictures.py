"""Pictures for the examples, as SVG with nothing to install: curves, clouds of points, grey images, shaded text.

Not a program: the examples import it. `tapenet.metrics` and `tapenet.training` draw their own.
"""

import argparse
import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
Array = NDArray[Any]


def folder(about: str | None) -> Path:
    """Where an example saves its picture: the folder after --out, or the current one."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path.cwd(), metavar="FOLDER", help="folder for the picture")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    return out


def _save(path: Path, width: float, height: float, parts: Sequence[str]) -> None:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="#fff"/>'
    )
    path.write_text("\n".join([head, *parts, "</svg>\n"]), encoding="utf-8")
    print(f"saved {path}")


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" {more}>{escape(words)}</text>'


def lines(
    path: Path, series: Mapping[str, tuple[Array, Array]], x_label: str = "", size: tuple[int, int] = (640, 300)
) -> None:
    """Curves in one frame: by name, their x and y."""
    left, top, (width, height) = 50, 36, size
    xs, ys = (np.concatenate([pair[k] for pair in series.values()]) for k in (0, 1))
    low, high = float(ys.min()), float(ys.max())

    def points(x: Array, y: Array) -> str:
        across = left + (x - xs.min()) / (np.ptp(xs) or 1) * width
        down = top + (high - y) / ((high - low) or 1) * height
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))

    parts = [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#bbb"/>']
    for value, y in ((high, top + 10), (low, top + height)):
        parts.append(_text(left - 6, y, f"{value:.3g}", 'text-anchor="end"'))
    for value, x, anchor in ((xs.min(), left, "start"), (xs.max(), left + width, "end")):
        parts.append(_text(x, top + height + 18, f"{value:g}", f'text-anchor="{anchor}"'))
    parts.append(_text(left + width / 2, top + height + 18, x_label, 'text-anchor="middle"'))
    for k, (name, (across, up)) in enumerate(series.items()):
        parts.append(f'<polyline points="{points(across, up)}" fill="none" stroke="{COLOURS[k]}" stroke-width="1.5"/>')
        parts.append(_text(left + 200 * k, 22, name, f'fill="{COLOURS[k]}"'))
    _save(path, left + width + 20, top + height + 30, parts)


def clouds(path: Path, panels: Mapping[str, Array], reach: float, size: int = 220) -> None:
    """Points (n, 2) from -reach to reach, each cloud in a panel of its own with its name above."""
    parts = []
    for k, (name, points) in enumerate(panels.items()):
        left = 10 + k * (size + 10)
        parts.append(_text(left, 20, name))
        parts.append(f'<rect x="{left}" y="28" width="{size}" height="{size}" fill="none" stroke="#bbb"/>')
        places = (points * (1, -1) / reach + 1) / 2 * size
        inside = places[((places > 0) & (places < size)).all(1)]
        dots = "".join(f"M{left + x:.1f} {28 + y:.1f}h.01" for x, y in inside)
        parts.append(f'<path d="{dots}" stroke="{COLOURS[0]}" stroke-width="2" stroke-linecap="round" opacity=".5"/>')
    _save(path, 10 + len(panels) * (size + 10), size + 38, parts)


def images(path: Path, rows: Sequence[Array], names: Sequence[str] = (), scale: int = 2) -> None:
    """Rows of grey images (n, height, width) from 0, white, to 1, black; each row with its name before it."""
    sheets = [np.hstack(list(np.pad(row, ((0, 0), (1, 1), (1, 1))))) for row in rows]
    sheet = np.vstack(sheets)
    grey = (255 * (1 - sheet.clip(0, 1))).astype(np.uint8)
    height, width = grey.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    filtered = np.pad(grey, ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(filtered)) + chunk(b"IEND", b"")
    left = 12 + 7 * max(map(len, names)) if names else 0
    tall = height * scale / len(sheets)
    parts = [_text(4, (k + 0.5) * tall + 4, name) for k, name in enumerate(names)]
    data = base64.b64encode(png).decode()
    parts.append(
        f'<image x="{left}" width="{width * scale}" height="{height * scale}" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{data}"/>'
    )
    _save(path, left + width * scale, height * scale, parts)


def shaded(path: Path, characters: str, amounts: Array, title: str, columns: int = 90) -> None:
    """A text in which each character stands on a ground that is the darker, the greater its amount from 0 to 1."""
    parts = [_text(8, 20, title), '<g font-family="DejaVu Sans Mono, Menlo, monospace" font-size="12">']
    row, column = 0, 0
    for character, amount in zip(characters, amounts, strict=True):
        if character == "\n" or column == columns:
            row, column = row + 1, 0
        if character != "\n":
            x, y = 8 + 7.4 * column, 46 + 17 * row
            parts.append(
                f'<rect x="{x:.1f}" y="{y - 13}" width="7.5" height="17" fill="#d55e00" opacity="{amount:.2f}"/>'
            )
            parts.append(_text(x, y, character))
            column += 1
    _save(path, 16 + 7.4 * columns, 60 + 17 * row, [*parts, "</g>"])
