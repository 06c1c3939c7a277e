#!/usr/bin/env python3
"""Writes tests/data/dequantize.bin: blocks of every type and what the Python package `gguf` dequantizes them to.

usage: python tests/reference/dequantize.py       (with numpy and gguf installed; the committed file is of gguf 0.19.0)

For each type: its GGML number, bytes and elements (three little-endian u32), the blocks, the elements as 32-bit floats.
"""
import struct
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

# Where the 16-bit floats of a block lie, in bytes.
SCALES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}
# Ordinary ones of both signs, zeros, the smallest and the largest subnormal, and the largest of all.
F16_EDGES = np.array([0.0113, -0.0257, 0.0, -0.0, 2.0**-24, -(2.0**-14 - 2.0**-24), 65504.0, -65504.0], np.float16)


def floats(rng, kind):
    """Elements of a plain float type, all finite."""
    if kind is T.F16:
        return np.concatenate([F16_EDGES, rng.standard_normal(24).astype(np.float16)]).view(np.uint8)
    edges = np.array([1.5, -0.0, 1e-45, -1e-39, 3.3e38, -3.3e38, 1.1754944e-38, -2.0], np.float32)
    values = np.concatenate([edges, rng.standard_normal(24).astype(np.float32)]).view(np.uint32)
    return values.view(np.uint8) if kind is T.F32 else (values >> 16).astype(np.uint16).view(np.uint8)


def blocks(rng, kind):
    """A block for each edge among the scales: random ones, then one of clear and one of set bits."""
    size = GGML_QUANT_SIZES[kind][1]
    made = rng.integers(0, 256, (len(F16_EDGES), size), dtype=np.uint8)
    made[2], made[-1] = 0, 255
    for i, block in enumerate(made):
        for j, at in enumerate(SCALES[kind]):
            block[at:at + 2] = F16_EDGES[[(i + 3 * j) % len(F16_EDGES)]].view(np.uint8)
    return made.reshape(-1)


def main():
    rng = np.random.default_rng(20)
    out = b""
    for kind in [T.F32, T.F16, T.BF16, *SCALES]:
        data = blocks(rng, kind) if kind in SCALES else floats(rng, kind)
        values = dequantize(data, kind).astype(np.float32)
        assert np.isfinite(values).all(), kind
        out += struct.pack("<III", kind, data.size, values.size) + data.tobytes() + values.tobytes()
    path = Path(__file__).parent.parent / "data" / "dequantize.bin"
    path.write_bytes(out)
    print(f"{path}: {len(out)} bytes")


if __name__ == "__main__":
    main()
