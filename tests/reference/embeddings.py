#!/usr/bin/env python3
"""Reference vectors of a text, from transformers.

usage: TAPER_TINY_MODELS_DIR=FOLDER cargo test --test it write_tiny_models -- --ignored
       python3 tests/reference/embeddings.py FOLDER

Reads the plain tiny models in F32 and writes tests/data/embeddings.json, where each has
  sha256    of its file, so that a test says when the models have changed and this must be run again;
  mean      of what the last layer makes of TOKENS, after the final norm;
  last      of these, that of the last token.
Both have length 1; numbers are rounded to 5 decimals.

Needs: pip install numpy gguf torch transformers
"""
import argparse, hashlib, importlib.metadata, json, pathlib

import numpy as np
import torch

from exact import exact_hidden

TOKENS = [(i * i + 31 * i + 5) % 251 for i in range(100)]
DATA = pathlib.Path(__file__).resolve().parent.parent / 'data' / 'embeddings.json'


def unit(vector):
    return [round(float(x), 5) for x in vector / np.linalg.norm(vector)]


def reference(path):
    hidden = exact_hidden(path, TOKENS).astype(np.float64)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return dict(sha256=sha256, mean=unit(hidden.mean(axis=0)), last=unit(hidden[-1]))


def main():
    parser = argparse.ArgumentParser(description='Reference vectors of a text.')
    parser.add_argument('folder', type=pathlib.Path)
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    versions = {name: importlib.metadata.version(name) for name in ('transformers', 'torch', 'gguf')}
    dense = lambda value: json.dumps(value, separators=(',', ':'))
    lines = []
    for name in ('llama-F32', 'qwen2-F32', 'qwen3-F32'):
        values = reference(folder / f'{name}.gguf').items()
        lines.append(f'  {dense(name)}: {{\n' + ',\n'.join(f'   {dense(k)}: {dense(v)}' for k, v in values) + '\n  }')
    models = ',\n'.join(lines)
    DATA.write_text(f'{{\n "made_with": {json.dumps(versions)},\n "tokens": {dense(TOKENS)},\n "models": {{\n{models}\n }}\n}}\n')


if __name__ == '__main__':
    main()
