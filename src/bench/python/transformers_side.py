# transformers: the weights of the file, dequantized to the precision of the job, on the CPU.
#
# Its users have safetensors, which it loads much faster than GGUF. So one process converts the file, and another measures.
JOB = take_job()
need(*((name, name) for name in ("torch", "transformers", "gguf", "accelerate", "numpy")))
import torch
import transformers

answer("imported")
torch.set_num_threads(JOB["threads"])
torch.set_num_interop_threads(1)
transformers.utils.logging.set_verbosity_error()


# The name of the argument changed in version 5.
DTYPE = {
    "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype": getattr(torch, JOB["precision"])
}


def load(folder, **options):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **DTYPE, **options).eval()


def load_gguf():
    folder, file = os.path.split(os.path.abspath(JOB["model"]))
    return load(folder, gguf_file=file)


def convert():
    read = load_gguf()
    n_bytes = sum(weight.numel() * weight.element_size() for weight in read.parameters())
    if shutil.disk_usage(JOB["folder"]).free < 1.2 * n_bytes:
        sys.exit("no room for %d bytes of safetensors" % n_bytes)
    # A model that was read from GGUF refuses to be saved; one that shares its weights does not know where they are from.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, **DTYPE)
    model.load_state_dict(read.state_dict(), assign=True)
    model.tie_weights()
    model.save_pretrained(JOB["folder"])
    answer("converted")
    sys.exit(0)


class Engine:
    def __init__(self):
        self.model = load(JOB["folder"]) if JOB["folder"] else load_gguf()
        self.reset()

    def reset(self):
        self.cache = None

    def feed(self, ids):
        out = self.model(
            input_ids=torch.tensor([ids]), past_key_values=self.cache, use_cache=True, logits_to_keep=1
        )
        self.cache, self.last = out.past_key_values, out.logits[0, -1]

    def best(self):
        return int(self.last.argmax())

    def logits(self):
        return self.last.float().numpy()


if JOB["purpose"] == "convert":
    convert()
with torch.inference_mode():
    engine = Engine()
    answer("loaded")
    run(
        engine,
        JOB,
        lambda: dict(
            precision=str(engine.model.dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            versions=versions("transformers", "torch"),
            installed_bytes=installed_bytes("transformers", "torch", "gguf", "accelerate"),
            system=torch.backends.cpu.get_cpu_capability(),
        ),
    )
