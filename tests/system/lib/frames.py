# SPDX-License-Identifier: BSD-3-Clause
"""Frames as they pass an interface: captured with AF_PACKET, parsed, and their checksums computed anew."""
import dataclasses
import socket
import struct
import threading

ETH_P_ALL = 3
PACKET_OUTGOING = 4


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclasses.dataclass
class Frame:
    data: bytes
    outgoing: bool

    def __len__(self):
        return len(self.data)

    def transport(self):
        """(pseudo header, protocol, TCP or UDP bytes) or None."""
        kind = struct.unpack("!H", self.data[12:14])[0]
        packet = self.data[14:]
        if kind == 0x0800:
            header = (packet[0] & 15) * 4
            total = struct.unpack("!H", packet[2:4])[0]
            if struct.unpack("!H", packet[6:8])[0] & 0x3FFF:
                return None  # a fragment
            assert checksum(packet[:header]) == 0xFFFF, "IPv4 header checksum is wrong"
            protocol, body, addresses = packet[9], packet[header:total], packet[12:20]
        elif kind == 0x86DD:
            protocol, body, addresses = packet[6], packet[40:40 + struct.unpack("!H", packet[4:6])[0]], packet[8:40]
        else:
            return None
        if protocol not in (6, 17):
            return None
        return addresses + struct.pack("!II", protocol, len(body)), protocol, body

    def has_right_checksum(self):
        found = self.transport()
        if not found:
            return True
        pseudo, protocol, body = found
        if protocol == 17 and body[6:8] == b"\0\0" and len(pseudo) == 16:
            return True  # UDP over IPv4 may do without
        return checksum(pseudo + body) == 0xFFFF


class Capture:
    """Frames of one interface while the `with` block runs; every one is counted, the first `keep` are kept."""

    def __init__(self, namespace, interface, keep=20000):
        with namespace.inside():
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
            self.sock.bind((interface, 0))
        self.keep = keep
        self.frames = []
        self.longest = {False: 0, True: 0}  # by direction
        self.stopping = False
        self.thread = threading.Thread(target=self._read, daemon=True)

    def _read(self):
        self.sock.settimeout(0.1)
        while True:
            try:
                data, address = self.sock.recvfrom(70000)
            except TimeoutError:
                if self.stopping:
                    return
                continue
            outgoing = address[2] == PACKET_OUTGOING
            self.longest[outgoing] = max(self.longest[outgoing], len(data))
            if len(self.frames) < self.keep:
                self.frames.append(Frame(data, outgoing))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        self.sock.close()

    def incoming(self):
        return [frame for frame in self.frames if not frame.outgoing]
