# SPDX-License-Identifier: BSD-3-Clause
"""A picture as a text for gnuplot with the figures in it, and how it is drawn."""
import hashlib
import pathlib
import shutil
import subprocess

HEAD = """# SPDX-License-Identifier: BSD-3-Clause
# Made by {maker}: {about}.
# It draws itself: gnuplot -e "kind='svg'; drawn='FILE'" {name}.gp
if (!exists("kind")) kind = "svg"
if (!exists("drawn")) drawn = "{name}." . kind
set encoding utf8
if (kind eq "png") {{
    set terminal pngcairo enhanced size {png_width},{png_height} font "sans,10" fontscale 1.5 linewidth 1.5 \\
        pointscale 1.5 background "#ffffff"
}} else {{
    set terminal svg enhanced size {width},{height} font "sans,11" background "#ffffff"
}}
set output drawn
set multiplot
set grid linecolor rgb "#E4E4E4" linetype 1 linewidth 1
set border linecolor rgb "#808080"
set tics textcolor rgb "#202020" nomirror
"""


def quoted(text):
    """For gnuplot, whose text has commands in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("_", "\\\\_") + '"'


class Picture:
    """The text of one picture, built line by line."""

    def __init__(self, maker, name, about, width, height):
        self.name, self.width, self.height = name, width, height
        self.lines = HEAD.format(maker=maker, name=name, about=about, width=width, height=height,
                                 png_width=width * 3 // 2, png_height=height * 3 // 2).splitlines()

    def add(self, *lines):
        self.lines += lines

    def panel(self, title, left, right, top, bottom):
        """Where the next plot goes, in pixels from the left and the top."""
        self.add("", f"set title {quoted(title)} offset 0,-0.4",
                 f"set lmargin at screen {left / self.width:.4f}", f"set rmargin at screen {right / self.width:.4f}",
                 f"set tmargin at screen {1 - top / self.height:.4f}",
                 f"set bmargin at screen {1 - bottom / self.height:.4f}")

    def data(self, name, rows):
        self.add(f"${name} << END", *(" ".join(map(str, row)) for row in rows), "END")

    def tics(self, axis, tics):
        self.add(f"set {axis}tics ()", *(f"set {axis}tics add ({quoted(text)} {at:.6g})" for at, text in tics))

    def text(self):
        return "\n".join([*self.lines, "unset multiplot", "unset output"]) + "\n"


class PictureError(Exception):
    """gnuplot could not draw it; the text is its own."""


def gnuplot(text_file, kind, drawn):
    done = subprocess.run(["gnuplot", "-e", f"kind='{kind}'; drawn='{drawn}'", str(text_file)], text=True, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0 or done.stderr.strip():
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise PictureError(f"gnuplot {text_file}: {lines[-1].strip() if lines else done.returncode}")


def finish_svg(text_file, picture):
    """As scripts/pictures would have drawn it: with the licence, and what it was made from, at the head."""
    total = hashlib.sha256(text_file.read_bytes()).hexdigest()
    lines = picture.read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("<svg"))
    picture.write_text("\n".join([
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>', "<!-- SPDX-License-Identifier: BSD-3-Clause -->",
        f"<!-- Made by scripts/pictures from {text_file.name}, sha256 {total} -->",
        *(line.replace("\t", " ").rstrip() for line in lines[begin:])]) + "\n")


def draw(pictures, directory, kinds=("svg", "png")):
    """Writes these pictures, and their texts beside them; returns their names."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    names = []
    for picture in pictures:
        text_file = directory / f"{picture.name}.gp"
        text_file.write_text(picture.text())
        for kind in kinds:
            drawn = directory / f"{picture.name}.{kind}"
            gnuplot(text_file, kind, drawn)
            if kind == "svg":
                finish_svg(text_file, drawn)
        names.append(picture.name)
    return names


def possible():
    return shutil.which("gnuplot") is not None
