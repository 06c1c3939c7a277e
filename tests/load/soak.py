"""`taper serve` under load: rising numbers of streams, then minutes of it while its memory is watched.

usage: python3 soak.py TAPER_BINARY [MODEL] [--minutes 10] [--parallel 64] [--threads N] [--tokens 64] [--prompt 64]

Levels of 1, 4, 16 and 64 streams at once are asked by `taper bench --serve`: no request may fail, the time between tokens of
one in a hundred may be at most three times the median, and 16 streams must get three times the tokens of one. Then 16 streams
go on for the minutes. Memory may not grow from the second quarter of them to the last, and at the end nothing may be held.
Bounds on times need a quiet machine; `--lenient` reports them without judging. Needs Linux, and nothing but Python.
"""
import argparse, json, pathlib, subprocess, sys, tempfile, threading, time, urllib.request

LEVELS = (1, 4, 16, 64)
STREAMS = 16
MOST_GROWTH_BYTES = 4 << 20


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("taper")
    parser.add_argument("model", nargs="?", default="demo")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--lenient", action="store_true")
    return parser.parse_args()


def bench(args, url, streams, requests):
    command = [args.taper, "bench", "--serve", url, "--concurrency", str(streams), "--requests", str(requests),
               "-n", str(args.tokens), "-p", str(args.prompt), "-o", "json"]
    found = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(found.stdout)[0]


def resident_bytes(pid, kind="RssAnon"):
    """Memory of the process that no file stands behind: what a leak would add to."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(kind + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"no {kind} of {pid}")


def metric(url, name):
    with urllib.request.urlopen(url + "/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


def levels(args, url, problems):
    rates = {}
    print(f"{'streams':>7} {'tokens/s':>9} {'first ms':>9} {'between ms':>10} {'p99 ms':>8} {'p99/p50':>8} {'failed':>6}")
    for streams in LEVELS:
        level = bench(args, url, streams, max(args.requests, streams * 2))
        between, failed = level["between_tokens_ms"], level["n_requests"] - level["n_answered"]
        ratio = between["p99"] / between["p50"]
        rates[streams] = level["tokens_per_sec"]
        print(f"{streams:7} {rates[streams]:9.1f} {level['first_token_ms']['p50']:9.1f} {between['p50']:10.2f} "
              f"{between['p99']:8.2f} {ratio:8.2f} {failed:6}", flush=True)
        if failed:
            problems.append(f"{failed} of {level['n_requests']} requests failed at {streams} streams: {level['failures']}")
        if ratio > 3 and not args.lenient:
            problems.append(f"at {streams} streams the 99th percentile between tokens is {ratio:.1f} times the median")
    if rates[16] < 3 * rates[1] and not args.lenient:
        problems.append(f"16 streams get {rates[16] / rates[1]:.1f} times the tokens of one, expected 3")


def soak(args, url, pid, problems):
    samples, over = [], threading.Event()

    def watch():
        while not over.wait(1):
            samples.append(resident_bytes(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    end, n = time.monotonic() + args.minutes * 60, 0
    try:
        while time.monotonic() < end:
            level = bench(args, url, STREAMS, args.requests)
            n += level["n_answered"]
            if level["failures"]:
                problems.append(f"failed in the long run: {level['failures']}")
                break
    finally:
        over.set()
        watcher.join()
    quarter = max(len(samples) // 4, 1)
    before, after = (sorted(part)[len(part) // 2] for part in (samples[quarter:2 * quarter] or samples, samples[-quarter:]))
    print(f"{n} requests in {args.minutes:g} min; memory without files {before / 2**20:.1f} MiB in the second quarter, "
          f"{after / 2**20:.1f} MiB in the last ({(after - before) / 2**20:+.2f})")
    if after - before > MOST_GROWTH_BYTES:
        problems.append(f"memory grew by {(after - before) / 2**20:.1f} MiB")


def main():
    args = arguments()
    command = [args.taper, "serve", "-m", args.model, "--port", "0", "--parallel", str(args.parallel), "--queue", "256"]
    if args.threads:
        command += ["-t", str(args.threads)]
    problems = []
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            url = server.stdout.readline().strip()
            bench(args, url, STREAMS, STREAMS)
            levels(args, url, problems)
            soak(args, url, server.pid, problems)
            for name in ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"):
                if value := metric(url, name):
                    problems.append(f"{name} is {value} when nobody asks")
        finally:
            server.terminate()
            if code := server.wait(60):
                problems.append(f"the server ended with {code}")
        log.seek(0)
        if text := log.read():
            problems.append(f"the server said: {text}")
    sys.exit("\n".join(problems) or None)


main()
