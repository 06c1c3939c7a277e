"""Multiplies two square matrices of 32-bit floats: numpy_side.py N. Prints the best of three times as JSON."""
import json, sys, time

try:
    import numpy
except ImportError:
    sys.exit("numpy is not installed: pip install numpy")

n = int(sys.argv[1])
rng = numpy.random.default_rng(0)
a, b = (rng.random((n, n), dtype=numpy.float32) for _ in range(2))
times = []
for _ in range(4):  # the first is a warm-up
    start = time.perf_counter()
    a @ b
    times.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(times[1:]), "version": numpy.__version__}))
