"""Writes the golden files of crates/gguf.

    pip install -r requirements.txt && python make.py

blocks.safetensors     every quantised type: random blocks, and what the gguf package makes of them
llama.gguf, qwen2.gguf tiny models with a tokenizer and a template, every type of tensor among them
*.tensors.json         sums over the bits of the same weights in Hugging Face's names and layout
*.ids.json             texts, and their tokens by the tokenizer that the file was made from
"""

import json
from pathlib import Path

import gguf
import numpy as np
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

here = Path(__file__).parent
T = gguf.GGMLQuantizationType
KINDS = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K, T.F16, T.F32, T.BF16, T.Q2_K, T.Q3_K, T.IQ4_NL, T.IQ4_XS,
    T.MXFP4,
]
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
CORPUS = [
    "The quick brown fox jumps over the lazy dog, 1234567890 times.",
    "def f(x):\n    return x ** 2 + 3.14\n\n\nprint(f(12))  # Zürich, naïve, 東京 🌧",
    "It's what they'd've said: 'we'll see', don't we?\t\tTabs  and   spaces.",
]
TEXTS = CORPUS + [
    "", " ", "\n\n", "a", " leading", "trailing ", "<|im_start|>user\nHi<|im_end|>", "e\u0301 versus \u00e9", "100000 x 2,5",
    "Ünïcödé ẞ Ж 漢字 😀👍🏽", "\u00a0nbsp\u200bzero", "tabs\there\r\nwindows", "camelCaseHTTPRequest", "the the  the   the",
]


def random_blocks(kind, rng, blocks):
    """Random bytes whose scales are small and finite."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (blocks, size), dtype=np.uint8)
    halves = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
              T.Q2_K: [80, 82], T.Q3_K: [108], T.IQ4_NL: [0], T.IQ4_XS: [0]}
    for at in halves.get(kind, []):
        data[:, at : at + 2] = rng.normal(0, 0.1, (blocks, 1)).astype(np.float16).view(np.uint8)
    if kind in (T.F16, T.F32, T.BF16):
        values = rng.normal(0, 1, (blocks, 1)).astype(np.float32)
        data = quantize(values, kind).view(np.uint8).reshape(blocks, size)
    return data


def blocks():
    rng, out = np.random.default_rng(0), {}
    for kind in KINDS:
        data = random_blocks(kind, rng, 8)
        out[f"{kind.value}.bytes"] = data.reshape(-1)
        values = dequantize(data.reshape(-1), kind) if kind != T.F32 else data.reshape(-1).view(np.float32)
        out[f"{kind.value}.values"] = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
    save_file(out, here / "blocks.safetensors")


def byte_bpe(flavour):
    """A small byte-level BPE, split as the flavour says."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=flavour == "llama-bpe"))
    digits = {"qwen2": r"\p{N}", "llama-bpe": r"\p{N}{1,3}"}.get(flavour)
    if digits:
        rx = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        split = pre_tokenizers.Split(Regex(rx), "isolated")
        cut = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    elif flavour == "smollm":
        cut = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    else:
        cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = cut
    tokenizer.decoder = decoders.ByteLevel()
    if flavour == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    special = [AddedToken(t, special=True, normalized=False) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=special, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(CORPUS * 4, trainer)
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    return tokenizer


def sentence_piece():
    """A small SentencePiece BPE: the pieces with their scores, and the tokenizer of transformers' own conversion."""
    import io

    import sentencepiece
    from transformers.convert_slow_tokenizer import generate_merges

    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 4), model_writer=trained, model_type="bpe", vocab_size=400, byte_fallback=True,
        character_coverage=0.99, normalization_rule_name="identity", split_digits=True, hard_vocab_limit=False,
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
    )
    sp = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    pieces = [sp.id_to_piece(i) for i in range(len(sp))]
    scores = [sp.get_score(i) for i in range(len(sp))]
    kinds = [2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1 for i in range(len(sp))]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = generate_merges(vocab, dict(zip(pieces, scores)))
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ("<s>", "</s>")])
    return tokenizer, pieces, scores, kinds, [[1, *sp.encode(text)] if text else None for text in TEXTS]


def interleave(w, heads):
    """llama.cpp's order of the rows of queries and keys."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def model(name, architecture, kinds, add_tokenizer, vocab, heads=4, kv_heads=2, hidden=256, ffn=256, tied=True):
    rng = np.random.default_rng(len(name))
    writer = gguf.GGUFWriter(here / f"{name}.gguf", architecture)
    writer.add_context_length(128)
    writer.add_embedding_length(hidden)
    writer.add_block_count(1)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(50000.0)
    if name == "llama":
        writer.add_rope_dimension_count(hidden // heads)
    add_tokenizer(writer)
    dim, layer, blk = hidden // heads, "model.layers.0", "blk.0"
    shapes = {
        "token_embd.weight": ("model.embed_tokens.weight", (vocab, hidden)),
        f"{blk}.attn_norm.weight": (f"{layer}.input_layernorm.weight", (hidden,)),
        f"{blk}.attn_q.weight": (f"{layer}.self_attn.q_proj.weight", (heads * dim, hidden)),
        f"{blk}.attn_k.weight": (f"{layer}.self_attn.k_proj.weight", (kv_heads * dim, hidden)),
        f"{blk}.attn_v.weight": (f"{layer}.self_attn.v_proj.weight", (kv_heads * dim, hidden)),
        f"{blk}.attn_output.weight": (f"{layer}.self_attn.o_proj.weight", (hidden, heads * dim)),
        f"{blk}.ffn_norm.weight": (f"{layer}.post_attention_layernorm.weight", (hidden,)),
        f"{blk}.ffn_gate.weight": (f"{layer}.mlp.gate_proj.weight", (ffn, hidden)),
        f"{blk}.ffn_up.weight": (f"{layer}.mlp.up_proj.weight", (ffn, hidden)),
        f"{blk}.ffn_down.weight": (f"{layer}.mlp.down_proj.weight", (hidden, ffn)),
        "output_norm.weight": ("model.norm.weight", (hidden,)),
    }
    if architecture == "qwen2":
        for part in "qkv":
            rows = heads * dim if part == "q" else kv_heads * dim
            shapes[f"{blk}.attn_{part}.bias"] = (f"{layer}.self_attn.{part}_proj.bias", (rows,))
    if not tied:
        shapes["output.weight"] = ("lm_head.weight", (vocab, hidden))
    expected = {}
    for at, (theirs, (ours, shape)) in enumerate(shapes.items()):
        kind = T.F32 if len(shape) == 1 else kinds[at % len(kinds)]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        if kind == T.F32:
            values = rng.normal(0, 1, shape).astype(np.float32)
            writer.add_tensor(theirs, values)
        else:
            data = random_blocks(kind, rng, int(np.prod(shape)) // block).reshape(shape[0], -1)
            writer.add_tensor(theirs, data, raw_dtype=kind)
            values = dequantize(data, kind).astype(np.float32).reshape(shape)
        if architecture == "llama" and theirs.split(".")[-2] in ("attn_q", "attn_k"):
            count = heads if "attn_q" in theirs else kv_heads
            restored = values.reshape(count, dim // 2, 2, -1).swapaxes(1, 2).reshape(shape)
            assert np.array_equal(interleave(restored, count), values)
            values = restored
        expected[ours] = np.ascontiguousarray(values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    # A checksum per tensor keeps the golden file small: the sum of the bits as integers.
    sums = {key: {"shape": list(value.shape), "sum": int(value.view(np.uint32).astype(np.uint64).sum()),
                  "weighted": int((value.view(np.uint32).astype(object).reshape(-1) * (1 + np.arange(value.size) % 8191)).sum())}
            for key, value in expected.items()}
    (here / f"{name}.tensors.json").write_text(json.dumps(sums, indent=1) + "\n")


def add_byte_bpe(tokenizer, flavour, pads):
    def add(writer):
        state = json.loads(tokenizer.to_str())
        tokens = {i: t for t, i in tokenizer.get_vocab(True).items()}
        special = {t["id"]: t["special"] for t in state["added_tokens"]}
        ordered = [tokens[i] for i in range(len(tokens))] + [f"[PAD{i}]" for i in range(pads)]
        kinds = [3 if special.get(i) else 4 if i in special else 5 if i >= len(tokens) else 1 for i in range(len(ordered))]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(flavour)
        writer.add_token_list(ordered)
        writer.add_token_types(kinds)
        writer.add_token_merges([" ".join(m) for m in state["model"]["merges"]])
        writer.add_bos_token_id(0)
        writer.add_eos_token_id(2)
        writer.add_pad_token_id(0)
        writer.add_add_bos_token(False)
        writer.add_chat_template(TEMPLATE)

    return add


def write_ids(name, tokenizer, begin=()):
    ids = [{"text": text, "ids": [*begin, *tokenizer.encode(text).ids]} for text in TEXTS]
    (here / f"{name}.ids.json").write_text(json.dumps(ids, ensure_ascii=False, indent=0) + "\n")


def main():
    blocks()
    smollm, qwen = byte_bpe("smollm"), byte_bpe("qwen2")
    write_ids("llama", smollm)
    write_ids("qwen2", qwen)
    size = smollm.get_vocab_size(True)
    model("llama", "llama", [T.Q4_1, T.Q8_0, T.Q4_K, T.Q6_K, T.Q5_K], add_byte_bpe(smollm, "smollm", 4), size + 4)
    size = qwen.get_vocab_size(True)
    model("qwen2", "qwen2", [T.Q4_0, T.Q5_0, T.Q5_1, T.F16, T.BF16], add_byte_bpe(qwen, "qwen2", 0), size, hidden=64, ffn=64, tied=False)
    for flavour in ("llama-bpe", "gpt-2"):
        write_tokenizer_only(flavour, byte_bpe(flavour))
    pieces_only()


def write_tokenizer_only(flavour, tokenizer):
    """The tokenizer's part of a file alone."""
    writer = gguf.GGUFWriter(here / f"{flavour}.gguf", "llama")
    add_byte_bpe(tokenizer, flavour, 0)(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    write_ids(flavour, tokenizer)


def pieces_only():
    tokenizer, pieces, scores, kinds, by_sentencepiece = sentence_piece()
    writer = gguf.GGUFWriter(here / "pieces.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    write_ids("pieces", tokenizer, begin=[1])
    for text, theirs in zip(TEXTS, by_sentencepiece):
        ours = [1, *tokenizer.encode(text).ids]
        if theirs is not None and theirs != ours and "<|" not in text:
            print("sentencepiece itself differs on", repr(text))


main()
