# transformers: the weights of the file, dequantized to the precision of the job, on the CPU.
JOB = take_job()
need(*((name, name) for name in ("torch", "transformers", "gguf", "accelerate", "numpy")))
import torch
import transformers

answer("imported")
torch.set_num_threads(JOB["threads"])
torch.set_num_interop_threads(1)
transformers.utils.logging.set_verbosity_error()


class Engine:
    def __init__(self):
        # The argument had another name before version 5.
        name = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
        folder, file = os.path.split(os.path.abspath(JOB["model"]))
        precision = {name: getattr(torch, JOB["precision"])}
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=file, local_files_only=True, **precision
        ).eval()
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


with torch.inference_mode():
    engine = Engine()
    answer("loaded")
    run(
        engine,
        JOB,
        precision=str(engine.model.dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        versions=versions("transformers", "torch"),
        installed_bytes=installed_bytes("transformers", "torch", "gguf", "accelerate"),
        system=torch.backends.cpu.get_cpu_capability(),
    )
