# SPDX-License-Identifier: BSD-3-Clause
"""A bridge that is a whole network card (?control): its front end leaves configuration and control queue to it. The
driver is ours, in card_client.c; Linux's is in test_vhost_uml.py. How frames are spread (RSS) is what steering does."""
import json
import socket
import subprocess

import pytest

from lib.bridge import BIN, SLOW, Bridge, eventually

ADDRESS, FAR = "10.97.0.1", "10.97.0.2"


class Card:
    """The bridge, and its driver, which is connected once it is asked for something."""

    def __init__(self, namespace, place, *words, options="?control"):
        self.namespace, self.path, self.control = namespace, place / "card", place / "control"
        self.bridge = Bridge("--link", f"vhost-user:{self.path}{options}", "--tap", "vop0", "--queues", 2, "--address",
                             f"{ADDRESS}/24", "--control", self.control, *words, namespace=namespace,
                             log=place / "bridge.log")
        eventually(self.path.exists, self.bridge.text, 10)
        self.client = None

    def connect(self):
        self.client = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", BIN / "card-client", self.path],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def disconnect(self):
        self.client.stdin.close()
        assert self.client.wait(10 * SLOW) == 0
        self.client.stdout.close()
        self.client = None

    def ask(self, *words):
        self.client.stdin.write(" ".join(map(str, words)) + "\n")
        self.client.stdin.flush()
        return self.client.stdout.readline().strip()

    def steering(self):
        done = subprocess.run([BIN / "vop", "bridge", "steer", "show", "--json", "--control", self.control], text=True,
                              capture_output=True, timeout=60 * SLOW, check=True)
        return json.loads(done.stdout)[0]

    def wait_table(self, start, **rest):
        """Until frames are spread so: the first entries of the table, and what else is to be."""
        def is_so():
            rss = self.steering()["rss"]
            return rss["table"][:len(start)] == start and rss == {**rss, **rest}
        eventually(is_so, lambda: str(self.steering()["rss"]), 5)

    def send(self, count):
        """So many datagrams of as many flows to the card."""
        self.namespace.ip("neigh", "replace", FAR, "lladdr", "02:00:00:00:00:09", "dev", "vop0")
        for _ in range(count):
            with self.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"x", (FAR, 9))

    def end(self):
        if self.client:
            self.client.kill()
            self.client.wait()
        self.bridge.stop()


@pytest.fixture
def start(namespaces, tmp_path):
    cards = []

    def start_one(*words, **options):
        cards.append(Card(namespaces("host"), tmp_path, *words, **options))
        return cards[-1]

    yield start_one
    for card in cards:
        card.end()


@pytest.fixture
def card(start):
    card = start("--steer", "rss")
    if "built without" in (card.steering()["fallback"] or ""):
        pytest.skip("built without the steering program")
    return card


def counted(card, before=(0, 0)):
    return [now - then for now, then in zip(map(int, card.ask("frames").split()), before)]


def test_rss(card):
    card.connect()
    assert card.ask("facts") == "1500 1 2 0x3f"
    assert card.ask("rss", 0x6d, 0, 1, 1, 0) == "2 pairs"
    card.wait_table([0, 1, 1, 0] * 2, hfunc="toeplitz", hkey=":".join(["6d"] * 40), types=["ipv4", "udp4"],
                    sparse=False)
    for table, pair in (([1], 1), ([0], 0)):  # all frames take the pair that the table says
        assert card.ask("rss", 0x6d, *table).endswith(" pairs")
        card.wait_table(table * 4)
        before = counted(card)
        card.send(50)
        eventually(lambda: counted(card, before)[pair] >= 50, lambda: str(counted(card, before)), 5)
        assert counted(card, before)[1 - pair] == 0
    assert card.ask("pairs", 2) == "2 pairs"  # the driver does not care any more
    card.wait_table([0, 1, 0, 1], hfunc="symmetric", sparse=True)


def test_driver_that_goes(card):
    """What it has said goes with it."""
    card.connect()
    assert card.ask("rss", 1, 1) == "2 pairs"
    card.wait_table([1, 1], hfunc="toeplitz")
    card.disconnect()
    card.wait_table([0, 1], hfunc="symmetric")
    card.connect()
    assert card.ask("facts").startswith("1500 1 2 ")
    assert card.ask("pairs", 2) == "2 pairs"


def test_configuration_follows_the_interface(card):
    card.connect()
    card.namespace.ip("link", "set", "vop0", "mtu", "1400")
    eventually(lambda: card.ask("facts").startswith("1400 1 "), "the MTU", 5)
    card.namespace.ip("link", "set", "vop0", "down")
    eventually(lambda: card.ask("facts").startswith("1400 0 "), "the link is down", 5)


def test_without_steering(start):
    """RSS is offered only where somebody follows it."""
    card = start("--steer", "kernel")
    card.connect()
    assert card.ask("facts") == "1500 1 2 0"
    assert card.ask("pairs", 2) == "2 pairs"
