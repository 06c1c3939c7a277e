"""llama.cpp through the package llama-cpp-python, set to compute as exactly as it can, and how far distributions are apart.

Needs: pip install numpy llama-cpp-python
"""
import ctypes

import llama_cpp as L
import numpy as np

QUIET = L.llama_log_callback(lambda *_: None)
L.llama_log_set(QUIET, ctypes.c_void_p(0))
L.llama_backend_init()


class LlamaCpp:
    """A model and a context for one sequence, with a float32 cache and without flash attention."""

    def __init__(self, path, n_ctx=256, n_threads=1):
        parameters = L.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.model = L.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.model:
            raise SystemExit(f'error: llama.cpp cannot load {path}')
        self.n_vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(self.model))
        parameters = L.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = n_ctx
        parameters.n_threads = parameters.n_threads_batch = n_threads
        parameters.flash_attn_type = 0
        parameters.type_k = parameters.type_v = 0  # float32
        self.context = L.llama_init_from_model(self.model, parameters)

    def logits(self, tokens, start):
        """Rows of logits after each of `tokens`, the first of which stands at position `start`."""
        batch = L.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, start + i, 1, 0, 1
        if L.llama_decode(self.context, batch):
            raise SystemExit('error: llama.cpp cannot decode')
        row = lambda i: np.ctypeslib.as_array(L.llama_get_logits_ith(self.context, i), (self.n_vocab,)).copy()
        rows = [row(i) for i in range(len(tokens))]
        L.llama_batch_free(batch)
        return np.stack(rows)

    def close(self):
        L.llama_free(self.context)
        L.llama_model_free(self.model)


def log_softmax(logits):
    """Log-probabilities in nats, of float64."""
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def divergence(p, q):
    """The Kullback-Leibler divergence of q from p, both log-probabilities, in nats."""
    return (np.exp(p) * (p - q)).sum(axis=-1)
