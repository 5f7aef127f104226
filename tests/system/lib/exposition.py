# SPDX-License-Identifier: BSD-3-Clause
"""A strict parser of the text format that Prometheus reads, version 0.0.4, and of what its users expect of names."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)$")
ABBREVIATED = {"ms", "us", "ns", "kb", "mb", "sec", "secs", "msec", "usec"}


def _labels(text):
    labels, at = {}, 0
    while at < len(text):
        found = LABEL.match(text, at)
        assert found, f"labels: {text!r}"
        assert found[1] not in labels, f"label {found[1]} twice: {text!r}"
        labels[found[1]] = re.sub(r"\\(.)", lambda c: {"n": "\n"}.get(c[1], c[1]), found[2])
        at = found.end()
    return labels


class Metric:
    def __init__(self, name, about):
        self.name, self.help, self.type, self.samples = name, about, None, {}

    def check(self):
        """As `promtool check metrics` does."""
        assert self.help and self.type in ("counter", "gauge"), f"{self.name}: {self.help!r}, {self.type}"
        assert (self.type == "counter") == self.name.endswith("_total"), f"{self.name} is a {self.type}"
        assert not set(self.name.split("_")) & ABBREVIATED and self.name == self.name.lower(), self.name
        assert ":" not in self.name and self.type not in self.name.split("_"), self.name

    def value(self, **labels):
        """The sum of all samples that have these labels."""
        found = [value for key, value in self.samples.items() if labels.items() <= dict(key).items()]
        assert found, f"{self.name}: no sample with {labels} among {self.samples}"
        return sum(found)


def parse(text):
    """{name: Metric}. Each metric is one piece: HELP, TYPE, and its samples."""
    assert text.endswith("\n") and "\r" not in text
    metrics, current = {}, None
    for line in text.splitlines():
        words = line.split(" ", 3)
        if words[:2] == ["#", "HELP"]:
            assert re.fullmatch(NAME, words[2]) and words[2] not in metrics, f"a second time: {line}"
            current = metrics[words[2]] = Metric(words[2], words[3])
        elif words[:2] == ["#", "TYPE"]:
            assert words[2] == current.name and not current.type and not current.samples, line
            current.type = words[3]
        else:
            found = SAMPLE.match(line)
            assert found, f"no sample: {line!r}"
            assert found[1] == current.name and current.type, f"not where it belongs: {line}"
            key = frozenset(_labels(found[2] or "").items())
            assert key not in current.samples, f"twice: {line}"
            current.samples[key] = float(found[3])
    for metric in metrics.values():
        metric.check()
    return metrics
