#!/usr/bin/env python3
"""Writes tests/data/tokenizer.json: small vocabularies, and the token ids that llama.cpp gives for texts with them.

usage: python tests/reference/tokenizer.py   (with gguf and llama-cpp-python installed; the committed file is of 0.3.36)

The byte-pair vocabulary is trained on the texts as a whole, not on words, so that a wrong cut shows in the ids.
"""
import collections
import ctypes
import json
import tempfile
from pathlib import Path

import llama_cpp
from gguf import GGUFWriter

TEXTS = [
    "", " ", "\n", "  \t\n", "Hello", " Hello world", "It's John's, we'LL go and they'd've said I'M 'sure'!",
    "a  b   c    \n\n  d\r\n\r\n e", "1 12 123 1234 12345678 3.14 1,000,000", "x=f(y)+[z]*{w}/2; // ok?! <html> $5 ^~|`",
    "écoleÉcole Straße ΑΒΓαβγ привет Мир", "你好，世界。123、こんにちは カタカナ 안녕하세요", "नमस्ते हिन्दी १२३ ไทย العربية", "e\u0301a\u0308 \u0301x",
    "🙂 👨‍👩‍👧 🇩🇪 \ufe0f→€", "\u00a0a\u2003b\u3000c\u0085d", "   def f(x):\n        return x  \n\n\n",
    "<|im_start|>user\nhi<|im_end|> </s><tool>  x", "CamelCase WORDS and_snake-case HTTPServer2go", "trailing spaces   ", "end.\nnext!\n\n?",
]
# One name for each way of cutting in which llama.cpp and the models' own tokenizers agree.
PRETOKENIZERS = """default llama-bpe dbrx jais-2 gpt-2 starcoder falcon qwen2 laguna qwen35 superbpe deepseek-llm deepseek-coder
deepseek-v3 spark2_5 bloom viking""".split()
NORMAL, UNKNOWN, CONTROL, USER, BYTE = 1, 2, 3, 4, 6
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_characters():
    """GPT-2's printable character of each byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def train(lines, n):
    """`n` merges of the most frequent neighbours in `lines`, each a list of symbols."""
    merges = []
    for _ in range(n):
        pairs = collections.Counter(pair for line in lines for pair in zip(line, line[1:]))
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for line in lines:
            i = 0
            while i + 1 < len(line):
                if (line[i], line[i + 1]) == best:
                    line[i:i + 2] = [line[i] + line[i + 1]]
                i += 1
    return merges


def bpe():
    characters = byte_characters()
    merges = train([[characters[b] for b in text.encode()] for text in TEXTS], 430)
    # The last two no merge makes: only a lookup of whole words finds them.
    tokens = list(dict.fromkeys(characters + [left + right for left, right in merges] + ["ĠJohn", "ĠWORDS"]))
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<tool>"]
    types = [NORMAL] * len(tokens) + [CONTROL] * 5 + [USER]
    n = len(tokens)
    return dict(model="gpt2", tokens=tokens + special, types=types, merges=[f"{l} {r}" for l, r in merges], bos=n, eos=n)


def spm():
    texts = [text.replace(" ", "▁") for text in TEXTS]
    merges = train([list("▁" + text) for text in texts], 200)
    pieces = list(dict.fromkeys([left + right for left, right in merges] + sorted(set("▁etaoinsrh,.'1234567890é世"))))
    tokens = ["<unk>", "<s>", "</s>", *BYTES, *pieces, "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool>"]
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * len(pieces) + [CONTROL] * 3 + [USER]
    scores = [0.0] * 259 + [-float(i) for i in range(len(pieces))] + [0.0] * 4
    return dict(model="llama", tokens=tokens, types=types, scores=scores, bos=1, eos=2)


def gemma():
    lines = [line for text in TEXTS for line in text.replace(" ", "▁").split("\n")]
    merges = train([list(line) for line in lines if line], 200) + [("\n", "\n"), ("\n\n", "\n")]
    pieces = list(dict.fromkeys([l + r for l, r in merges] + sorted(set("\n▁etaoinsrh,.'1234567890é世"))))
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *BYTES, *pieces, "<tool>"]
    types = [CONTROL] * 3 + [UNKNOWN] + [BYTE] * 256 + [NORMAL] * len(pieces) + [USER]
    merges = [f"{left} {right}" for left, right in merges]
    return dict(model="gemma4", tokens=tokens, types=types, merges=merges, scores=[0.0] * len(tokens), bos=2, eos=1)


def bert():
    words = "▁hello ▁world ▁it ▁s ▁john ▁we ▁go ▁and ing ▁they ▁ecole ecole ▁def ▁f ▁x ▁1 ▁12 3 4 ▁return ▁a ▁b ▁c ▁' ▁, ▁! ▁="
    words += " ▁( ▁) ▁你 ▁好 ▁世 ▁[ ▁] ▁camel case word s ▁h e l o ▁w r d ▁i ▁m"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(words.split())]
    return dict(model="bert", tokens=tokens, types=[CONTROL] * 5 + [NORMAL] * (len(tokens) - 5), bos=2, sep=3, unk=1)


def write(path, vocabulary, pre, name):
    """A GGUF file of nothing but `vocabulary`."""
    writer = GGUFWriter(path, "llama")
    for add in [writer.add_context_length, writer.add_embedding_length, writer.add_block_count,
                writer.add_feed_forward_length, writer.add_head_count]:
        add(1)
    writer.add_layer_norm_rms_eps(1e-5)
    if name:
        writer.add_name(name)
    writer.add_tokenizer_model(vocabulary["model"])
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list([token.encode() for token in vocabulary["tokens"]])
    writer.add_token_types(vocabulary["types"])
    if "merges" in vocabulary:
        writer.add_token_merges(vocabulary["merges"])
    if "scores" in vocabulary:
        writer.add_token_scores(vocabulary["scores"])
    for key, add in dict(bos=writer.add_bos_token_id, eos=writer.add_eos_token_id, sep=writer.add_sep_token_id,
                         unk=writer.add_unk_token_id).items():
        if key in vocabulary:
            add(vocabulary[key])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def ask(path, texts, framed, special):
    """llama.cpp's ids of each text."""
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    assert model, "llama.cpp cannot load this vocabulary"
    vocab = llama_cpp.llama_model_get_vocab(model)
    rows = []
    for text in texts:
        data = text.encode()
        out = (llama_cpp.llama_token * (2 * len(data) + 16))()
        n = llama_cpp.llama_tokenize(vocab, data, len(data), out, len(out), framed, special)
        rows.append(list(out[:n]))
    llama_cpp.llama_model_free(model)
    return rows


def main():
    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    vocabularies = dict(bpe=bpe(), spm=spm(), gemma=gemma(), bert=bert())
    runs = [("bpe", pre, "", False, False) for pre in PRETOKENIZERS]
    runs += [("bpe", "llama-bpe", "", True, True), ("bpe", "qwen2", "", True, True)]
    for name in ["spm", "gemma"]:
        runs += [(name, "", "", False, False), (name, "", "", True, True)]
    runs += [("spm", "", "Phi-3 mini", False, True), ("bert", "", "", True, False)]
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocabulary.gguf"
        for vocabulary, pre, name, framed, special in runs:
            write(path, vocabularies[vocabulary], pre, name)
            ids = ask(path, TEXTS, framed, special)
            if vocabulary == "bert":
                # There llama.cpp drops vowels of Hangul and Devanagari, which BERT itself keeps.
                ids = [row if all(ord(c) < 0x300 or "\u4e00" <= c for c in text) and "\u0085" not in text else None
                       for text, row in zip(TEXTS, ids)]
            cases.append(dict(vocabulary=vocabulary, pre=pre, name=name, framed=framed, special=special,
                              ids=[None if row is None else " ".join(map(str, row)) for row in ids]))
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    words = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in vocabularies.items())
    text = f'{{"texts": {json.dumps(TEXTS)},\n"vocabularies": {{{words}}},\n"cases": [{lines}]}}\n'
    (Path(__file__).parents[1] / "data" / "tokenizer.json").write_text(text)


main()
