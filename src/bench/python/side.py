"""One side of a comparison: takes a job on standard input, answers in marked lines of JSON on standard output.

What every side shares comes first in its script: the channel, the packages, the measuring. A side adds an engine with
`reset()`, which empties the cache; `feed(ids)`, which appends tokens to it; `best()`, the likeliest next token;
and `logits()`, those of the next token as a numpy array of float32.
"""
import sys

# A file of the current folder is not the package of its name.
sys.path[:] = [folder for folder in sys.path if folder]

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import threading
import time

MARK = "@taper "

# Libraries print what they like: answers have a channel of their own, and what is printed goes to standard error.
CHANNEL = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def answer(event, **fields):
    CHANNEL.write(MARK + json.dumps(dict(event=event, **fields)) + "\n")
    CHANNEL.flush()


def leave_with_parent(litter):
    """Ends this process, and removes its folder, when the parent, which keeps standard input open, is gone."""
    while os.read(0, 4096):
        pass
    if litter:
        shutil.rmtree(litter, ignore_errors=True)
    os._exit(1)


def take_job():
    """The job, which is one line; the engine may only take as many threads as it says."""
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            sys.exit("the job did not arrive")
        line += part
    job = json.loads(line)
    threading.Thread(target=leave_with_parent, args=(job["folder"],), daemon=True).start()
    return job


def need(*packages):
    """Reports the packages, as (name of the distribution, module), that are not installed, and ends if there are any."""
    missing = [name for name, module in packages if importlib.util.find_spec(module) is None]
    if missing:
        answer("missing", packages=missing)
        sys.exit(0)


def wanted_by(distribution, extras):
    """What a distribution requires: pairs of (name, extras). Markers of the platform are answered by what is installed."""
    for requirement in distribution.requires or []:
        text, _, marker = requirement.partition(";")
        if "extra" in marker and not set(re.findall(r"""extra\s*==\s*["']([^"']+)["']""", marker)) & extras:
            continue
        name, more = re.match(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?", text).groups()
        yield name, frozenset(extra.strip() for extra in (more or "").split(",") if extra.strip())


def installed_bytes(*roots):
    """Size of the files of these distributions and of all that they require; Python itself is not in it."""
    todo, seen, files = [(root, frozenset()) for root in roots], set(), {}
    while todo:
        item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            distribution = importlib.metadata.distribution(item[0])
        except importlib.metadata.PackageNotFoundError:
            continue
        todo.extend(wanted_by(distribution, item[1]))
        for file in distribution.files or []:
            path = str(distribution.locate_file(file))
            if path not in files:
                try:
                    files[path] = os.path.getsize(path)
                except OSError:
                    files[path] = 0
    return sum(files.values())


def peak_rss_bytes():
    """The most memory this process has had, or None where it cannot be told.

    Linux counts into ru_maxrss what the parent had when it started this process; VmHWM is of this program alone.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def greedy(engine, prompt, n):
    """n greedy tokens after the prompt, and the seconds until the first and from there to the last."""
    engine.reset()
    start = time.perf_counter()
    engine.feed(prompt)
    tokens = [engine.best()]
    first = time.perf_counter()
    while len(tokens) < n:
        engine.feed(tokens[-1:])
        tokens.append(engine.best())
    return tokens, first - start, time.perf_counter() - first


def judged(engine, prompt, expected):
    """For each expected token, given all before it: the likeliest here, how much likelier it is, and the expected one's log-probability."""
    import numpy

    steps = []
    engine.reset()
    engine.feed(prompt)
    for i, token in enumerate(expected):
        if i:
            engine.feed([expected[i - 1]])
        logits = engine.logits().astype(numpy.float64)
        best = int(logits.argmax())
        logprobs = logits - logits[best] - numpy.log(numpy.exp(logits - logits[best]).sum())
        steps.append(dict(best=best, gap=float(logits[best] - logits[token]), logprob=float(logprobs[token])))
    return steps


def run(engine, job, facts):
    """Measures, checks, and answers with everything; facts gives what else there is to say, which may take its time."""
    prompt, n = job["prompt"], job["n_gen"]
    engine.reset()
    engine.feed(prompt[: job["n_cold"]])
    answer("first_token", token=engine.best())
    if job["purpose"] == "start":
        answer("started")
        sys.exit(0)
    greedy(engine, prompt, min(n, 8))
    runs = [greedy(engine, prompt, n) for _ in range(job["repetitions"])]
    peak = peak_rss_bytes()
    answer(
        "result",
        tokens=runs[-1][0],
        prompt_seconds=[run[1] for run in runs],
        generation_seconds=[run[2] for run in runs],
        peak_rss_bytes=peak,
        steps=judged(engine, prompt, job["expected"]),
        **facts(),
    )


def versions(*names):
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found
