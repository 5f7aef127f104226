# SPDX-License-Identifier: BSD-3-Clause
"""A section of docs/PERFORMANCE.md that a benchmark makes, between two remarks."""
import re
import textwrap

COLUMNS = 120


def wrapped(part):
    """Text in lines of a page's width; not what is one line for Markdown."""
    lines = []
    for line in part.split("\n"):
        if line.startswith(("|", "!", "<!--", "#")):
            lines.append(line)
        else:
            lines += textwrap.wrap(line, COLUMNS, subsequent_indent="  " if line.startswith("- ") else "",
                                   break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join(lines)


def put_section(path, begin, end, section):
    """Puts it where it was, or at the end of the page."""
    text = path.read_text()
    if begin in text:
        text = re.sub(re.escape(begin) + r".*?" + re.escape(end) + "\n", lambda _: section, text, flags=re.DOTALL)
    else:
        text = text.rstrip("\n") + "\n\n" + section
    path.write_text(text)
