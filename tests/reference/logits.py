#!/usr/bin/env python3
"""Reference values of the forward pass, from transformers and from llama.cpp.

usage: TAPER_TINY_MODELS_DIR=FOLDER cargo test --test it write_tiny_models -- --ignored
       python3 tests/reference/logits.py FOLDER

Reads the tiny models that the tests make and writes tests/data/logits/ARCHITECTURE.json, where each model has
  sha256               of its file, so that a test says when the models have changed and this must be run again;
  exact_logits         at POSITIONS, by transformers in float32 on the weights as the package gguf dequantizes them;
  llama_cpp_logprobs   at the last position, by llama.cpp on the file, with a float32 cache and no flash attention;
  llama_cpp_next       llama.cpp's log-probability of each token but the first, after those before it;
  llama_cpp_greedy     the 16 tokens that llama.cpp continues with, each the most probable one;
  llama_cpp_kl         the largest divergence, over all positions, of llama.cpp from transformers: llama.cpp rounds
                       activations (to 8 bits before quantized weights), which is noise of its own.
Numbers are rounded to 4 decimals.

Needs: pip install numpy gguf torch transformers llama-cpp-python
"""
import argparse, hashlib, importlib.metadata, json, math, pathlib

import numpy as np
import torch

from exact import File, exact_logits
from llama_cpp_engine import LlamaCpp, divergence, log_softmax

TOKENS = [1, 260, 17, 42, 17, 288, 5, 291, 100, 100, 100, 7, 256, 31, 280, 17, 42, 0, 199, 263,
          64, 128, 255, 33, 270, 271, 272, 9, 9, 150, 260, 17, 42, 17, 81, 222, 3, 290, 115, 42]
POSITIONS = [0, 20, 39]
N_GREEDY = 16
DATA = pathlib.Path(__file__).resolve().parent.parent / 'data' / 'logits'


def rounded(values):
    return [round(float(value), 4) for value in values]


def reference(path):
    exact = exact_logits(path, TOKENS)
    engine = LlamaCpp(path)
    theirs = engine.logits(TOKENS, 0)
    greedy = [int(theirs[-1].argmax())]
    while len(greedy) < N_GREEDY:
        greedy.append(int(engine.logits(greedy[-1:], len(TOKENS) + len(greedy) - 1)[0].argmax()))
    engine.close()
    p, q = log_softmax(exact), log_softmax(theirs)
    kl = divergence(p, q)
    entropy = -(np.exp(p) * p).sum(axis=-1)
    print(f'{path.stem:24} entropy {entropy.mean():.2f}   logits: std {exact.std():.2f}, largest difference '
          f'{np.abs(exact - theirs).max():.1e}   KL: mean {kl.mean():.1e}, largest {kl.max():.1e}', flush=True)
    return dict(
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        exact_logits=[rounded(exact[position]) for position in POSITIONS],
        llama_cpp_logprobs=rounded(q[-1]),
        llama_cpp_next=rounded(q[i, token] for i, token in enumerate(TOKENS[1:])),
        llama_cpp_greedy=greedy,
        llama_cpp_kl=float(f'{kl.max():.1e}'),
    )


def write(path, architecture, models):
    """One line for each value, so that a change shows where it is."""
    versions = {name: importlib.metadata.version(name) for name in ('transformers', 'torch', 'llama-cpp-python', 'gguf')}
    dense = lambda value: json.dumps(value, separators=(',', ':'))
    body = ',\n'.join(f'  {dense(name)}: {{\n' + ',\n'.join(f'   {dense(k)}: {dense(v)}' for k, v in model.items()) + '\n  }'
                      for name, model in models.items())
    path.write_text(f'{{\n "architecture": {dense(architecture)},\n "made_with": {json.dumps(versions)},\n'
                    f' "tokens": {dense(TOKENS)},\n "positions": {dense(POSITIONS)},\n "models": {{\n{body}\n }}\n}}\n')


def check_llama3_factors(path):
    """The factors in the file are those of Llama 3's rule: factor 8, low 1, high 4, original context 64."""
    for i, factor in enumerate(File(path).tensors['rope_freqs.weight']):
        wavelength = 2 * math.pi * 10000 ** (i / 32)
        blend = min(max((64 / wavelength - 1) / (4 - 1), 0), 1)
        assert math.isclose(factor, 1 / ((1 - blend) / 8 + blend), rel_tol=1e-6), (i, factor)


def main():
    parser = argparse.ArgumentParser(description='Reference values of the forward pass.')
    parser.add_argument('folder', type=pathlib.Path)
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    check_llama3_factors(folder / 'llama-llama3-F32.gguf')
    DATA.mkdir(parents=True, exist_ok=True)
    for architecture in ('llama', 'qwen2', 'qwen3'):
        models = {path.stem: reference(path) for path in sorted(folder.glob(architecture + '-*.gguf'))}
        write(DATA / f'{architecture}.json', architecture, models)


if __name__ == '__main__':
    main()
