# llama-cpp-python, by the functions of llama.cpp that it exports: what it can do without the cost of its Python classes.
JOB = take_job()
need(("llama-cpp-python", "llama_cpp"), ("numpy", "numpy"))
import ctypes

import llama_cpp
import numpy

answer("imported")
BATCH = 512


def text_of(call, *arguments):
    buffer = ctypes.create_string_buffer(256)
    call(*arguments, buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace")


class Engine:
    def __init__(self):
        self.quiet = llama_cpp.llama_log_callback(lambda *arguments: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        options = llama_cpp.llama_model_default_params()
        options.n_gpu_layers = 0
        if JOB["precision"] == "unpacked":
            if not hasattr(options, "use_extra_bufts"):
                sys.exit("this version of llama-cpp-python cannot leave the weights as they are in the file")
            options.use_extra_bufts = False
        self.model = llama_cpp.llama_model_load_from_file(JOB["model"].encode(), options)
        if not self.model:
            sys.exit("llama.cpp cannot load the model")
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = len(JOB["prompt"]) + JOB["n_gen"] + 8
        options.n_batch = options.n_ubatch = BATCH
        options.n_threads = options.n_threads_batch = JOB["threads"]
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        if not self.context:
            sys.exit("llama.cpp cannot make a context")
        self.batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        self.length = 0

    def reset(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        self.length = 0

    def feed(self, ids):
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            batch = self.batch
            batch.n_tokens = len(part)
            for i, token in enumerate(part):
                batch.token[i], batch.pos[i] = token, self.length + i
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
                batch.logits[i] = start + i == len(ids) - 1
            status = llama_cpp.llama_decode(self.context, batch)
            if status:
                sys.exit("llama_decode returned %d" % status)
            self.length += len(part)

    def logits(self):
        return numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self.context, -1), shape=(self.n_vocab,))

    def best(self):
        return int(self.logits().argmax())


engine = Engine()
answer("loaded")
run(
    engine,
    JOB,
    lambda: dict(
        precision=text_of(llama_cpp.llama_model_desc, engine.model),
        threads=llama_cpp.llama_n_threads(engine.context),
        versions=versions("llama-cpp-python"),
        installed_bytes=installed_bytes("llama-cpp-python"),
        system=llama_cpp.llama_print_system_info().decode("utf-8", "replace"),
    ),
)
