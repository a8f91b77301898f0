"""Files damaged at random, as disks, half a download and hostile hands leave them."""

import gzip
import re
import zlib

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+\w.]+')
ABSURD = [
    *(b"1e999", b"-1e999", b"1e308", b"NaN", b"-Infinity", b"nan", b"inf", b"-1", b"-0.0", b"0", b"1.5", b"1e-400"),
    *(b"255", b"256", b"65536", b"2147483648", b"9223372036854775808", b"18446744073709551616", b"1" + b"0" * 400),
    *(b"9" * 5000, b"null", b"true", b'""', b'"0"', b"[]", b"{}", b"[[1]]", b'{"a": 1}', b'{"array": "model.0.bias"}'),
    *(b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"F64"', b'"F8_E4M3"', b'"1e999"', b"[" * 20_000, b'{"list": [' * 2_000),
]
FIELDS = [b"\0", b"\xff", b"\x7f", b"\x80", b"\0" * 4, b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\xff" * 8, b"\0" * 8]


def flip(rng, data, others):
    """Some bits."""
    new = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        new[rng.randrange(len(new))] ^= 1 << rng.randrange(8)
    return bytes(new)


def cut(rng, data, others):
    return data[: rng.randrange(len(data))]


def lose(rng, data, others):
    """A block is gone."""
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randint(1, 64) :]


def repeat(rng, data, others):
    """A block stands twice."""
    start = rng.randrange(len(data))
    block = data[start : start + rng.randint(1, 512)]
    return data[:start] + block * rng.choice([2, 2, 9]) + data[start + len(block) :]


def insert(rng, data, others):
    start = rng.randrange(len(data) + 1)
    block = rng.choice([rng.randbytes(rng.randint(1, 64)), bytes(rng.randint(1, 4096)), b"\xef\xbb\xbf", b"\n", b"\r"])
    return data[:start] + block + data[start:]


def set_field(rng, data, others):
    """A number of the header becomes as small or as large as it can be."""
    field = rng.choice(FIELDS)
    start = rng.randrange(min(len(data), rng.choice([16, 64, len(data)])))
    return data[:start] + field + data[start + len(field) :]


def swap(rng, data, others):
    """Another file, or the end of one."""
    other = rng.choice(others)
    return other if rng.random() < 0.3 else data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def set_token(rng, data, others):
    """A number, name or text becomes an absurd one, or another of the same file."""
    start, stop = text_range(data)
    tokens = list(TOKEN.finditer(data[start:stop]))
    if not tokens:
        return flip(rng, data, others)
    token = rng.choice(tokens)
    new = rng.choice(tokens)[0] if rng.random() < 0.3 else rng.choice(ABSURD)
    text = data[start : start + token.start()] + new + data[start + token.end() : stop]
    return (len(text).to_bytes(8, "little") if start else b"") + text + data[stop:]


def text_range(data):
    """Where the JSON of a safetensors file lies; all of another file."""
    length = int.from_bytes(data[:8], "little")
    return (8, 8 + length) if data[8:9] == b"{" and length <= len(data) - 8 else (0, len(data))


DAMAGES = (flip, cut, lose, repeat, insert, set_field, swap)


def damaged(rng, data, others, texts):
    """The file with one to three damages; `texts` says whether its numbers and names can be read as text."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if data:
            damage = set_token if texts and rng.random() < 0.4 else rng.choice(DAMAGES)
            data = damage(rng, data, others)
    return data


def inside_gzip(rng, data, others):
    """What is packed is damaged, and packed in good order."""
    return gzip.compress(damaged(rng, gzip.decompress(data), others, texts=False), 1, mtime=0)


def inside_png(rng, data, others):
    """Some chunk's content is damaged, and its checksum is right."""
    chunks, at = [], 8
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : end]))
        at = end + 4
    i = rng.randrange(len(chunks))
    kind, content = chunks[i]
    chunks[i] = kind, damaged(rng, content, others, texts=False)
    whole = [len(c).to_bytes(4, "big") + k + c + zlib.crc32(k + c).to_bytes(4, "big") for k, c in chunks]
    return data[:8] + b"".join(whole)
