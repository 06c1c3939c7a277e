#!/usr/bin/env python3
"""Reference logits of models with sliding windows, from transformers.

usage: TAPER_TINY_MODELS_DIR=FOLDER cargo test --test it write_tiny_models -- --ignored
       python3 tests/reference/windows.py FOLDER

Loads the folders FOLDER/windowed-* as transformers loads any model, and writes tests/data/windows.json, where each has
  sha256    of its model.safetensors, so that a test says when the models have changed and this must be run again;
  logits    at POSITIONS, in float32, rounded to 4 decimals.

Needs: pip install torch transformers
"""
import argparse, hashlib, importlib.metadata, json, pathlib

import torch
import transformers

TOKENS = [(i * i + 31 * i + 5) % 251 for i in range(170)]
POSITIONS = [41, 100, 169]
DATA = pathlib.Path(__file__).resolve().parent.parent / 'data' / 'windows.json'


def reference(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation='eager').eval()
    with torch.no_grad():
        logits = model(torch.tensor([TOKENS])).logits[0]
    print(folder.name, type(model).__name__, 'window', model.config.sliding_window,
          getattr(model.config, 'layer_types', None), f'logits: std {logits.std():.2f}', flush=True)
    return dict(sha256=hashlib.sha256((folder / 'model.safetensors').read_bytes()).hexdigest(),
                logits=[[round(float(value), 4) for value in logits[position]] for position in POSITIONS])


def main():
    parser = argparse.ArgumentParser(description='Reference logits of models with sliding windows.')
    parser.add_argument('folder', type=pathlib.Path)
    folders = sorted(parser.parse_args().folder.glob('windowed-*'))
    torch.set_num_threads(1)
    versions = {name: importlib.metadata.version(name) for name in ('transformers', 'torch')}
    dense = lambda value: json.dumps(value, separators=(',', ':'))
    body = ',\n'.join(f'  "{folder.name.removeprefix("windowed-")}": {dense(reference(folder))}' for folder in folders)
    DATA.write_text(f'{{\n "made_with": {json.dumps(versions)},\n "tokens": {dense(TOKENS)},\n'
                    f' "positions": {dense(POSITIONS)},\n "models": {{\n{body}\n }}\n}}\n')


if __name__ == '__main__':
    main()
