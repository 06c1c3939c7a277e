"""A GGUF file evaluated by transformers in float32, on the weights as the package gguf dequantizes them.

Needs: pip install numpy gguf torch transformers
"""
import gguf
import numpy as np
import torch
import transformers


class File:
    """A GGUF file: metadata without the architecture's prefix, and tensors as float32."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.architecture = reader.get_field('general.architecture').contents()
        self.metadata = {key.removeprefix(self.architecture + '.'): field.contents()
                         for key, field in reader.fields.items()}
        self.tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}

    def get(self, key, default=None):
        return self.metadata.get(key, default)


def rope_parameters(file):
    parameters = {'rope_type': 'default', 'rope_theta': file.get('rope.freq_base', 10000.0)}
    if kind := file.get('rope.scaling.type'):
        parameters |= dict(rope_type=kind, factor=file.get('rope.scaling.factor'))
        if kind == 'yarn':
            parameters['original_max_position_embeddings'] = file.get('rope.scaling.original_context_length')
    return parameters


def configuration(file):
    d_model, n_heads = file.get('embedding_length'), file.get('attention.head_count')
    settings = dict(
        vocab_size=file.tensors['token_embd.weight'].shape[0], hidden_size=d_model,
        intermediate_size=file.get('feed_forward_length'), num_hidden_layers=file.get('block_count'),
        num_attention_heads=n_heads, num_key_value_heads=file.get('attention.head_count_kv'),
        max_position_embeddings=file.get('context_length'), rope_parameters=rope_parameters(file),
        rms_norm_eps=file.get('attention.layer_norm_rms_epsilon'), attn_implementation='eager',
        tie_word_embeddings='output.weight' not in file.tensors)
    if file.architecture == 'llama':
        return transformers.LlamaConfig(**settings, attention_bias='blk.0.attn_q.bias' in file.tensors)
    if file.architecture == 'qwen2':
        return transformers.Qwen2Config(**settings)
    return transformers.Qwen3Config(**settings, head_dim=file.get('attention.key_length'))


NAMES = {
    'token_embd': 'model.embed_tokens', 'output_norm': 'model.norm', 'output': 'lm_head',
    'attn_norm': 'input_layernorm', 'ffn_norm': 'post_attention_layernorm',
    'attn_q': 'self_attn.q_proj', 'attn_k': 'self_attn.k_proj', 'attn_v': 'self_attn.v_proj',
    'attn_output': 'self_attn.o_proj', 'attn_q_norm': 'self_attn.q_norm', 'attn_k_norm': 'self_attn.k_norm',
    'ffn_gate': 'mlp.gate_proj', 'ffn_up': 'mlp.up_proj', 'ffn_down': 'mlp.down_proj',
}


def state(file):
    """The tensors under the names, and in the order of rows, that transformers has."""
    out = {}
    for name, value in file.tensors.items():
        if name == 'rope_freqs.weight':
            continue
        *block, part, kind = name.split('.')
        if file.architecture == 'llama' and part in ('attn_q', 'attn_k'):
            # Files of this architecture pair neighbours where transformers pairs the halves of a head.
            n_heads = file.get('attention.head_count' if part == 'attn_q' else 'attention.head_count_kv')
            value = value.reshape(n_heads, -1, 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
        prefix = f'model.layers.{block[1]}.' if block else ''
        out[f'{prefix}{NAMES[part]}.{kind}'] = torch.from_numpy(np.ascontiguousarray(value))
    return out


def load(path):
    """The model in the file `path`."""
    file = File(path)
    config = configuration(file)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    weights = state(file)
    if config.tie_word_embeddings:
        weights['lm_head.weight'] = weights['model.embed_tokens.weight']
    model.load_state_dict(weights, strict=True)
    if 'rope_freqs.weight' in file.tensors:
        model.model.rotary_emb.inv_freq /= torch.from_numpy(file.tensors['rope_freqs.weight'])
    return model


def exact_logits(path, tokens):
    """Logits after each of `tokens`: (n_tokens, n_vocab)."""
    with torch.no_grad():
        return load(path)(torch.tensor([tokens])).logits[0].numpy()


def exact_hidden(path, tokens):
    """What the last layer makes of each of `tokens`, after the final norm: (n_tokens, d_model)."""
    with torch.no_grad():
        return load(path).model(torch.tensor([tokens])).last_hidden_state[0].numpy()
