"""Prints a `.graph` file as JSON. Written from docs/graph-format.md alone, to show that the document is complete.

Needs Python 3.9 and the package `zstandard`. Checks every CRC32C and the BLAKE3; not the digest, which takes XXH3.
"""

import json
import struct
import sys

import zstandard

MASK = (1 << 64) - 1
CONSISTENCY = ["snapshot", "quiesced", "best-effort"]


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


BLAKE3_IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
BLAKE3_ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
BLAKE3_ROUND = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]


def compress(chain, words, counter, length, flags):
    state = chain + BLAKE3_IV[:4] + [counter & 0xFFFFFFFF, counter >> 32, length, flags]
    for _ in range(7):
        for step, (a, b, c, d) in enumerate(BLAKE3_ROUND):
            for word, left, right in ((words[2 * step], 16, 12), (words[2 * step + 1], 8, 7)):
                state[a] = (state[a] + state[b] + word) & 0xFFFFFFFF
                turned = state[d] ^ state[a]
                state[d] = (turned >> left | turned << 32 - left) & 0xFFFFFFFF
                state[c] = (state[c] + state[d]) & 0xFFFFFFFF
                turned = state[b] ^ state[c]
                state[b] = (turned >> right | turned << 32 - right) & 0xFFFFFFFF
        words = [words[place] for place in BLAKE3_ORDER]
    return [state[i] ^ state[i + 8] for i in range(8)]


def blake3_node(data, counter, root):
    """The chaining value of a subtree; `root` adds the flag of the last step."""
    if len(data) <= 1024:
        chain, starts = BLAKE3_IV, range(0, max(len(data), 1), 64)
        for start in starts:
            block = data[start:start + 64]
            last = start == starts[-1]
            flags = (1 if start == 0 else 0) | (2 if last else 0) | (root if last else 0)
            words = list(struct.unpack("<16I", block.ljust(64, b"\0")))
            chain = compress(chain, words, counter, len(block), flags)
        return chain
    left = 1024
    while left * 2 < len(data):
        left *= 2
    words = blake3_node(data[:left], counter, 0) + blake3_node(data[left:], counter + left // 1024, 0)
    return compress(BLAKE3_IV, words, 0, 64, 4 | root)


def blake3(data):
    return struct.pack("<8I", *blake3_node(data, 0, 8))


class Input:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), "cut short"
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def u64(self):
        return int.from_bytes(self.take(8), "little")

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def text(self):
        return self.take(self.uvarint()).decode()

    def end(self):
        assert self.at == len(self.data), "bytes are left"

    def numbers(self, count):
        if count == 0:
            return []
        encoding = self.byte()
        if encoding == 0:
            first, step = self.u64(), self.u64()
            return [(first + index * step) & MASK for index in range(count)]
        if encoding == 1:
            values, last = [], 0
            for _ in range(count):
                folded = self.uvarint()
                last = (last + (folded >> 1 ^ -(folded & 1))) & MASK
                values.append(last)
            return values
        assert encoding == 2
        low, width = self.u64(), self.byte()
        return [(low + int.from_bytes(self.take(width), "little")) & MASK for _ in range(count)]

    def bits(self, count):
        encoding = self.byte()
        if encoding == 2:
            data = self.take((count + 7) // 8)
            return [bool(data[index // 8] >> index % 8 & 1) for index in range(count)]
        return [[False, True][encoding]] * count

    def rows(self, count):
        if self.data[self.at] == 3:
            self.byte()
            return self.numbers(self.uvarint())
        return [row for row, present in enumerate(self.bits(count)) if present]

    def plain(self, count):
        return [self.take(length) for length in self.numbers(count)]

    def strings(self, count):
        if self.byte() == 0:
            return self.plain(count)
        entries = self.plain(self.uvarint())
        return [entries[position] for position in self.numbers(count)]

    def nested(self, tag):
        """A value inside a list, set or map."""
        if tag in (7, 8):
            items = [self.nested(self.byte()) for _ in range(self.uvarint())]
            return ["list" if tag == 7 else "set", items]
        if tag == 9:
            count = self.uvarint()
            return ["map", {self.text(): self.nested(self.byte()) for _ in range(count)}]
        if tag == 0:
            return ["null"]
        if tag == 1:
            return ["bool", self.byte() == 1]
        if tag in (2, 3, 4):
            return number(tag, self.u64())
        return blob(tag, self.take(self.uvarint()))


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def number(tag, value):
    return ["float", "%016x" % value] if tag == 3 else [["int", "time"][tag // 4], signed(value)]


def blob(tag, data):
    if tag == 5:
        return ["text", data.decode()]
    if tag == 6:
        return ["bytes", data.hex()]
    inner = Input(data)
    value = inner.nested(tag)
    inner.end()
    return value


def read_elements(data, count, edges):
    names = [name.decode() for name in data.plain(data.uvarint())]
    lids, txs = data.numbers(count), data.numbers(count)
    deleted, labels = data.bits(count), data.numbers(count)
    elements = [
        {"lid": lid, "tx": tx, "deleted": gone, "label": names[label], "props": {}}
        for lid, tx, gone, label in zip(lids, txs, deleted, labels)
    ]
    if edges:
        for key in ("src", "dst"):
            for element, value in zip(elements, data.numbers(count)):
                element[key] = value
    else:
        counts = data.numbers(count)
        identifiers = iter(data.strings(sum(counts)))
        for element, how_many in zip(elements, counts):
            element["identifiers"] = [next(identifiers).decode() for _ in range(how_many)]
    for _ in range(data.uvarint()):
        key, tag = names[data.uvarint()], data.byte()
        rows = data.rows(count)
        if tag == 0:
            values = [["null"]] * len(rows)
        elif tag == 1:
            values = [["bool", value] for value in data.bits(len(rows))]
        elif tag <= 4:
            values = [number(tag, value) for value in data.numbers(len(rows))]
        else:
            values = [blob(tag, value) for value in data.strings(len(rows))]
        for row, value in zip(rows, values):
            elements[row]["props"][key] = value
    return elements


def read_footer(data):
    footer = {"version": list(struct.unpack("<HH", data.take(4))), "uuid": data.take(16).hex(),
              "created": signed(data.u64()), "digest": data.take(16)[::-1].hex(), "blake3": data.take(32).hex(),
              "consistency": CONSISTENCY[data.byte()], "program": data.text(), "driver": data.text(),
              "raw_bytes": data.uvarint(), "transactions": data.uvarint()}
    for kind in ("vertices", "edges"):
        footer[kind] = {data.text(): data.uvarint() for _ in range(data.uvarint())}
    for key in ("lids", "txs"):
        footer[key] = [data.uvarint(), data.uvarint()] if data.byte() else None
    footer["blocks"] = [
        [data.byte(), data.uvarint(), data.uvarint(), [data.uvarint() for _ in range(3)]]
        for _ in range(data.uvarint())
    ]
    for _ in range(data.uvarint()):
        data.uvarint()
        data.take(data.uvarint())
    return footer


def read(file):
    assert file[:8] == b"LBGRAPH\0", "not a Lifeboat graph"
    assert crc32c(file[:60]) == int.from_bytes(file[60:64], "little"), "header"
    major, _, required = struct.unpack("<HHI", file[8:16])
    assert major == 1 and required == 0, "newer"
    graph = {"transactions": [], "vertices": [], "edges": []}
    at, sequence = 64, 0
    while True:
        head = file[at:at + 40]
        magic, kind, codec, flags, raw_len, stored_len, count, number_, crc, identity, head_crc = struct.unpack(
            "<4sBBHIIIII8sI", head)
        assert magic == b"LBLK" and crc32c(head[:36]) == head_crc, "head of a block"
        assert number_ == sequence and identity == file[24:32], "a block out of place"
        payload = file[at + 40:at + 40 + stored_len]
        assert crc32c(payload) == crc, "payload"
        raw = zstandard.ZstdDecompressor().decompress(payload, max_output_size=raw_len) if codec else payload
        assert len(raw) == raw_len
        data = Input(raw)
        if kind == 255:
            graph["footer"] = read_footer(data)
            data.end()
            break
        if kind == 1:
            txs, millis = data.numbers(count), data.numbers(count)
            graph["transactions"] += [[tx, signed(time)] for tx, time in zip(txs, millis)]
            data.end()
        elif kind in (2, 3):
            graph["vertices" if kind == 2 else "edges"] += read_elements(data, count, kind == 3)
            data.end()
        else:
            assert flags & 1, "an unknown block that must be understood"
        at, sequence = at + 40 + stored_len, sequence + 1
    assert graph["footer"]["blake3"] == blake3(file[:at]).hex(), "BLAKE3"
    tail = file[at + 40 + stored_len:]
    assert len(tail) == 24 and tail[16:] == b"LBGREND\0", "tail"
    assert crc32c(tail[:12]) == int.from_bytes(tail[12:16], "little"), "tail"
    assert struct.unpack("<QI", tail[:12]) == (at, 40 + stored_len), "tail"
    return graph


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as source:
        print(json.dumps(read(source.read()), ensure_ascii=True))
