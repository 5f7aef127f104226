# SPDX-License-Identifier: BSD-3-Clause
"""The example of a virtqueue alone: what it prints, also when there are more words than the queue holds."""
import pytest

from lib.echo import one_line, run


@pytest.mark.parametrize("words", [["one"], ["these", "few", "words"], [f"word {i}" for i in range(500)],
                                   ["b\u00e4r", "x" * 100]])
def test_words_come_back_in_capitals(words):
    expected = "".join(word.encode()[:64].upper().decode() + "\n" for word in words)
    assert run("ring", *words) == (0, expected, "")


def test_wrong_words():
    status, output, errors = run("ring")
    assert (status, output) == (2, "") and one_line(errors).startswith("usage: ")
    status, output, errors = run("ring", "one", "", "three")
    assert (status, output) == (1, "") and "segment 0 is empty" in one_line(errors)
