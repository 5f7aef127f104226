# SPDX-License-Identifier: BSD-3-Clause
"""Reads pcapng files as draft-ietf-opsawg-pcapng has them: strictly, so that a file with a mistake is not read."""
import dataclasses
import struct

SECTION, DESCRIPTION, PACKET, STATISTICS = 0x0A0D0D0A, 1, 6, 5


@dataclasses.dataclass
class Frame:
    queue: int
    time_ns: int
    length: int
    data: bytes
    direction: str
    dropped: int


@dataclasses.dataclass
class File:
    section: dict
    queues: list
    frames: list
    statistics: list


def options_of(body):
    """{code: bytes}, up to the end of options, which is there."""
    found = {}
    while True:
        code, length = struct.unpack_from("=HH", body)
        if code == 0:
            assert length == 0 and len(body) == 4, "the end of options is not the end of the block"
            return found
        assert code not in found, f"option {code} twice"
        found[code] = body[4:4 + length]
        padded = (length + 3) // 4 * 4
        assert not any(body[4 + length:4 + padded]), "padding that is not zero"
        body = body[4 + padded:]


def blocks_of(data):
    while data:
        kind, length = struct.unpack_from("=II", data)
        assert length % 4 == 0 and 12 <= length <= len(data), f"a block of {length} bytes where {len(data)} are left"
        assert struct.unpack_from("=I", data, length - 4)[0] == length, "the two lengths of a block differ"
        yield kind, data[8:length - 4]
        data = data[length:]


def number(options, code):
    return struct.unpack("=Q", options[code])[0]


def time_of(halves):
    high, low = struct.unpack("=II", halves)
    return high << 32 | low


def read_description(body):
    linktype, reserved, snaplen = struct.unpack_from("=HHI", body)
    options = options_of(body[8:])
    assert (linktype, reserved, options[9]) == (1, 0, b"\x09")
    return {"snaplen": snaplen, "name": options[2].decode(), "description": options[3].decode(),
            "filter": options[11][1:].decode() if 11 in options else None}


def read_frame(body):
    queue, high, low, captured, length = struct.unpack_from("=IIIII", body)
    padded = (captured + 3) // 4 * 4
    assert not any(body[20 + captured:20 + padded]), "padding that is not zero"
    options = options_of(body[20 + padded:])
    assert struct.unpack("=I", options[6]) == (queue,)
    direction = {1: "in", 2: "out"}[struct.unpack("=I", options[2])[0]]
    return Frame(queue, high << 32 | low, length, body[20:20 + captured], direction, number(options, 4))


def read_statistics(body):
    queue, *time = struct.unpack_from("=III", body)
    options = options_of(body[12:])
    return {"queue": queue, "time_ns": time[0] << 32 | time[1], "start_ns": time_of(options[2]),
            "end_ns": time_of(options[3]), "received": number(options, 4), "dropped": number(options, 5),
            "accepted": number(options, 6), "written": number(options, 8)}


def read(path):
    """A whole file, with statistics at its end or, while it is being written, without."""
    blocks = list(blocks_of(path.read_bytes()))
    kind, body = blocks.pop(0)
    magic, major, minor, length = struct.unpack_from("=IHHq", body)
    assert (kind, magic, major, minor, length) == (SECTION, 0x1A2B3C4D, 1, 0, -1)
    kinds = [kind for kind, _ in blocks]
    order = [DESCRIPTION, PACKET, STATISTICS]
    assert kinds == sorted(kinds, key=order.index), f"blocks in an order of {kinds}"
    of = {wanted: [body for kind, body in blocks if kind == wanted] for wanted in order}
    file = File(options_of(body[16:]), [read_description(body) for body in of[DESCRIPTION]],
                [read_frame(body) for body in of[PACKET]], [read_statistics(body) for body in of[STATISTICS]])
    assert all(frame.queue < len(file.queues) for frame in file.frames)
    assert len(file.statistics) in (0, len(file.queues))
    return file
