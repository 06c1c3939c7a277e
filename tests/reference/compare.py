#!/usr/bin/env python3
"""taper beside llama.cpp on one GGUF file, through taper's command line: log-probabilities of a text, and greedy continuation.

usage: compare.py TAPER_BINARY MODEL.gguf... [--text FILE] [--limit KL] [--exact] [-n 32] [-t 2]

For each model:
- text: `taper perplexity --json` gives the log-probability of each token of a text in one window; llama.cpp (and with
  --exact also transformers, on dequantized weights in float32) evaluates the same tokens. `KL` is half the mean square of
  the differences, which to second order is the divergence. `unexplained` is the variance of the differences over that
  of the log-probabilities: random weights can give distributions so flat that a small KL says little, this does.
- greedy: `taper run --raw --temp 0 --json --logprobs 50` continues a prompt; llama.cpp evaluates prompt and continuation.
  `same` counts tokens that are also llama.cpp's most probable ones, `gap` is the largest lead that llama.cpp gives
  another token (near-ties change with any rounding), `KL` the divergence over the 50 tokens and the rest as one.
Exits with 1 if a KL is above the limit (default: 1e-3, but 1e-2 for files named after a type of fewer than 8 bits) or
more than 2 % is unexplained.

Needs: pip install numpy llama-cpp-python; --exact also gguf torch transformers
"""
import argparse, json, os, re, subprocess, sys, tempfile

import numpy as np

from llama_cpp_engine import LlamaCpp, log_softmax

TEXT = '''The lighthouse keeper wrote one line in the log each evening. On Monday: "Wind from the west, 14 knots; two sails
at dusk." On Tuesday she counted the steps again (there were 211, as ever) and found that the lamp's third lens had a
crack, no longer than a fingernail. What does one do with a crack like that? She measured it: 7.5 mm, then 7.6 mm the
morning after. By Friday the supply boat had brought glass, oil, bread, and a letter which began "Dear Ana," and said
little else. fn main() { let x = [1, 2, 3]; } Größe, café, 東京, Привет! She read it twice, put it under the clock, and
climbed the 211 steps to light the lamp.
'''
PROMPT = 'The lighthouse keeper wrote one line in the log each evening.'
N_TOP = 50
LIMIT_UNEXPLAINED = 0.02  # llama.cpp against transformers: 0.0002 to 0.005 with activations of 8 bits


def taper(binary, *arguments):
    run = subprocess.run([binary, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f'error: taper {" ".join(map(str, arguments))} exited with {run.returncode}: {run.stderr.strip()}')
    return json.loads(run.stdout)


def second_order(ours, theirs):
    """Half the mean square of differences of log-probabilities: what a divergence is to second order."""
    return float(np.mean((ours - theirs) ** 2) / 2)


def next_logprobs(logits, tokens):
    """The log-probability of each token but the first."""
    return log_softmax(logits[:-1])[np.arange(len(tokens) - 1), tokens[1:]]


def show(what, ours, theirs):
    """Prints how far apart two rows of log-probabilities are; the KL and the unexplained share."""
    kl, difference = second_order(ours, theirs), np.abs(ours - theirs).max()
    unexplained = float(np.var(ours - theirs) / np.var(theirs))
    print(f'  text, {what}: {len(ours)} tokens, mean log-probability {ours.mean():.4f} and {theirs.mean():.4f}, '
          f'largest difference {difference:.1e}, KL {kl:.1e}, unexplained {unexplained:.1e}')
    return kl, unexplained


def compare_text(arguments, model, path):
    report = taper(arguments.taper, 'perplexity', '-m', model, '-f', path, '-c', 2048, '-t', arguments.threads, '--json')
    tokens, ours = report['tokens'], np.array(report['logprobs'][1:], np.float64)
    if len(tokens) > 2048:
        sys.exit('error: the text has more than the 2048 tokens of one window')
    engine = LlamaCpp(model, n_ctx=2048, n_threads=arguments.threads)
    theirs = next_logprobs(engine.logits(tokens, 0), tokens)
    engine.close()
    result = show('taper and llama.cpp', ours, theirs)
    if arguments.exact:
        from exact import exact_logits
        exact = next_logprobs(exact_logits(model, tokens), tokens)
        result = show('taper and transformers', ours, exact)
        show('llama.cpp and transformers', theirs, exact)
    return result


def top_divergence(row, entry):
    """The divergence of taper's distribution from llama.cpp's, where all tokens that taper does not list count as one."""
    ids = [each['token'] for each in entry['top']]
    q = np.array([each['logprob'] for each in entry['top']], np.float64)
    p = row[ids]
    rest_p, rest_q = 1 - np.exp(p).sum(), 1 - np.exp(q).sum()
    rest = rest_p * np.log(rest_p / rest_q) if min(rest_p, rest_q) > 1e-9 else 0.0
    return float((np.exp(p) * (p - q)).sum() + rest)


def compare_greedy(arguments, model):
    common = ['run', '-m', model, '--raw', '--json']
    prompt = taper(arguments.taper, *common, '--dry-run', PROMPT)['tokens']
    report = taper(arguments.taper, *common, '--temp', 0, '-n', arguments.n, '-t', arguments.threads,
                   '--logprobs', N_TOP, PROMPT)
    ours = report['tokens']
    engine = LlamaCpp(model, n_ctx=1024, n_threads=arguments.threads)
    rows = log_softmax(engine.logits(prompt + ours, 0)[len(prompt) - 1:-1])
    engine.close()
    gaps = rows.max(axis=1) - rows[np.arange(len(ours)), ours]
    kls = [top_divergence(row, entry) for row, entry in zip(rows, report['logprobs'])]
    print(f'  greedy: {len(prompt)} + {len(ours)} tokens, same {(gaps == 0).sum()}, gap {gaps.max():.1e}, '
          f'KL mean {np.mean(kls):.1e}, largest {np.max(kls):.1e}')
    return float(np.mean(kls))


def limit_for(model):
    return 1e-2 if re.search(r'Q[2-6]_', os.path.basename(model), re.I) else 1e-3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('taper', type=os.path.abspath)
    parser.add_argument('models', nargs='+', metavar='MODEL.gguf')
    parser.add_argument('--text', help='a file of at most 2048 tokens instead of the text in this script')
    parser.add_argument('--limit', type=float, help='the largest divergence that passes')
    parser.add_argument('--exact', action='store_true', help='evaluate with transformers too, and hold taper to that')
    parser.add_argument('-n', type=int, default=32, help='tokens to continue with')
    parser.add_argument('-t', '--threads', type=int, default=2)
    arguments = parser.parse_args()
    failed = []
    with tempfile.NamedTemporaryFile('w', suffix='.txt', encoding='utf-8') as text:
        text.write(open(arguments.text, encoding='utf-8').read() if arguments.text else TEXT)
        text.flush()
        for model in arguments.models:
            limit = arguments.limit or limit_for(model)
            print(f'{model} (limit {limit:.0e})')
            kl, unexplained = compare_text(arguments, model, text.name)
            if not (max(kl, compare_greedy(arguments, model)) <= limit and unexplained <= LIMIT_UNEXPLAINED):
                failed.append(model)
    if failed:
        sys.exit('error: above the limit: ' + ', '.join(failed))


if __name__ == '__main__':
    main()
