"""Writes tables in parquet as `datasets`, pandas, pyarrow, Polars and DuckDB write them, and expected.json with
their rows.

    pip install -r requirements.txt && python make.py

Rows are as crates/datasets reads them: decimal numbers are text, dates and times the number that is stored, and bytes
without a text are null. Files of refused.json have what isn't read.
"""

import datetime
import decimal
import json
import math
from pathlib import Path

import datasets
import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
EPOCH = datetime.datetime(1970, 1, 1)

PROMPTS = [
    {
        "prompt": [{"role": "system", "content": "Réponds."}, {"role": "user", "content": f"{a} + {b}?"}],
        "answer": str(a + b),
    }
    for a, b in [(1, 2), (40, 2), (17, 25)]
]
VERL = [
    {
        "data_source": "openai/gsm8k",
        "prompt": [{"role": "user", "content": f'{a} * {b}? Output the final answer after "####".'}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": str(a * b)},
        "extra_info": {"split": "train", "index": i, "answer": f"{a} * {b} = <<{a}*{b}={a * b}>>{a * b}\n#### {a * b}"},
    }
    for i, (a, b) in enumerate([(6, 7), (3, 4)])
]
CALL = {"type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
CONVERSATIONS = [
    {
        "messages": [
            {"role": "user", "content": "1 + 2?", "tool_calls": None},
            {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]},
            {"role": "tool", "content": "3", "tool_calls": []},
            {"role": "assistant", "content": "3 — done.", "tool_calls": None},
        ],
        "tools": '[{"name": "add", "parameters": {"type": "object"}}]',
    },
    {"messages": [], "tools": None},
    {
        "messages": [
            {"role": "user", "content": "Hi", "tool_calls": None},
            {"role": "assistant", "content": "", "tool_calls": None},
        ],
        "tools": None,
    },
]

# Two tools with other arguments: a column of structs has those of both.
TOOLS = [
    {
        "messages": [
            {"role": "user", "content": "Go."},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]},
        ],
        "tools": [{"name": name, "parameters": {"type": "object", "properties": {key: {"type": "integer"} for key in arguments}}}],
    }
    for name, arguments in [("add", {"a": 1, "b": 2}), ("neg", {"x": 4})]
]


def stored(value):
    """A value as JSON has it."""
    match value:
        case bool() | int() | str() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
        case decimal.Decimal():
            return str(value)
        case datetime.datetime():
            return (value - EPOCH) // datetime.timedelta(microseconds=1)
        case datetime.date():
            return (value - EPOCH.date()).days
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
        case list():
            return [stored(item) for item in value]
        case dict():
            # A struct has the keys of all rows, and those that a row lacks are None.
            return {key: stored(item) for key, item in value.items() if item is not None}
    raise TypeError(value)


def stored_row(row):
    return {key: value if key == "map" else stored(value) for key, value in row.items()}


def kinds():
    """Every kind of column, with values that are missing, empty and extreme."""
    strings = pa.array(["a", "é\n", None, "", "a"])
    big = decimal.Decimal("-12345678901234567890.25")
    return pa.table(
        {
            "truth": pa.array([True, None, False, True, False]),
            "i8": pa.array([-128, 127, None, 0, 1], pa.int8()),
            "u32": pa.array([2**32 - 1, 0, 1, None, 2], pa.uint32()),
            "i64": pa.array([-(2**63), 2**63 - 1, None, 0, 1]),
            "u64": pa.array([2**64 - 1, 0, 1, None, 2], pa.uint64()),
            "f32": pa.array([0.1, -1.5, None, math.inf, 0.0], pa.float32()),
            "f64": pa.array([0.1, 1e300, None, math.nan, -0.5]),
            "text": strings,
            "large": strings.cast(pa.large_string()),
            "category": strings.dictionary_encode(),
            "bytes": pa.array([b"text", b"\xff\x00", None, b"", b"x"]),
            "small": pa.array([decimal.Decimal("12.50"), None, decimal.Decimal("-0.05"), decimal.Decimal("0"), decimal.Decimal("7")], pa.decimal128(7, 2)),
            "decimal": pa.array([big, None, decimal.Decimal("0.00"), big, big], pa.decimal128(38, 2)),
            "date": pa.array([datetime.date(2024, 2, 29), None, datetime.date(1969, 12, 31), None, None]),
            "time": pa.array([EPOCH + datetime.timedelta(days=1, microseconds=5), None, EPOCH, None, None], pa.timestamp("us")),
            "nothing": pa.nulls(5),
            "list": pa.array([[1, None, 3], [], None, [None], [4]], pa.list_(pa.int32())),
            "lists": pa.array([[[1], [], None, [2, 3]], [], None, [[]], [[4], [5]]], pa.list_(pa.list_(pa.int64()))),
            "struct": pa.array([{"a": 1, "b": {"c": ["x", None]}}, None, {"a": None, "b": None}, {"a": 2, "b": {"c": []}}, {"a": 3, "b": {"c": None}}]),
            "structs": pa.array([[{"a": 1, "b": ["x"]}, {"a": None, "b": []}], [], None, [None], [{"a": 2, "b": None}]]),
            "map": pa.array([[("k", 1), ("l", None)], [], None, [("m", 2)], [("n", 3)]], pa.map_(pa.string(), pa.int64())),
            "field.with.dots": pa.array(["a", "b", "c", "d", "e"]),
        }
    )


PARTLY = {"question": "snappy", "answer": "zstd", "prefixes": "none"}
PARTLY |= {"image.bytes": "brotli", "image.path": "snappy"}


def partly():
    """Problems, with columns that a reader of problems doesn't need."""
    image = [{"bytes": b"\xff" * n, "path": f"{n}.png"} for n in range(3)]
    answers = [str(n) for n in range(3)]
    return pa.table({"question": ["a?", "b?", "c?"], "answer": answers, "image": image, "prefixes": answers})


def main():
    tables = {}

    def written(name, rows, **options):
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
        pq.write_table(table, HERE / name, **options)
        tables[name] = [stored_row(row) for row in table.to_pylist(maps_as_pydicts="strict")]

    datasets.Dataset.from_list(PROMPTS).to_parquet(HERE / "datasets.parquet")
    tables["datasets.parquet"] = PROMPTS
    datasets.Dataset.from_list(CONVERSATIONS).to_parquet(HERE / "conversations.parquet")
    tables["conversations.parquet"] = [stored_row(row) for row in CONVERSATIONS]
    pandas.DataFrame(VERL).to_parquet(HERE / "pandas.parquet")
    tables["pandas.parquet"] = VERL
    written("tools.parquet", TOOLS)
    polars.DataFrame(CONVERSATIONS).write_parquet(HERE / "polars.parquet")
    tables["polars.parquet"] = [stored_row(row) for row in CONVERSATIONS]
    frame = pandas.DataFrame([{"question": row["prompt"][1]["content"], "answer": row["answer"]} for row in PROMPTS])
    duckdb.sql("from frame").write_parquet(str(HERE / "duckdb.parquet"))
    tables["duckdb.parquet"] = frame.to_dict("records")
    short = {"store_schema": False}
    written("snappy.parquet", kinds(), row_group_size=3, **short)
    written("v2_zstd.parquet", kinds(), data_page_version="2.0", compression="zstd", **short)
    many = [{"list": list(range(n % 7)), "text": f"row {n % 10}", "n": n} for n in range(150)]
    written("gzip_pages.parquet", many, compression="gzip", data_page_size=64, row_group_size=60, **short)
    written(
        "delta.parquet",
        [{"text": f"row {n}", "n": n * n, "f": n / 8} for n in range(40)],
        compression="none",
        use_dictionary=False,
        column_encoding={"text": "DELTA_LENGTH_BYTE_ARRAY", "n": "DELTA_BINARY_PACKED", "f": "BYTE_STREAM_SPLIT"},
        **short,
    )
    # Two columns in forms that aren't read, one of them inside a struct: the others are.
    pq.write_table(partly(), HERE / "partly.parquet", compression=PARTLY, use_dictionary=False,
                   column_encoding={"prefixes": "DELTA_BYTE_ARRAY"}, **short)
    tables["partly.parquet"] = partly().select(["question", "answer"]).to_pylist()
    (HERE / "expected.json").write_text(json.dumps(tables, ensure_ascii=False, separators=(",", ":")) + "\n")

    few = pa.table({"text": ["a", "b"]})
    refused = {}
    for codec in ["brotli", "lz4"]:
        pq.write_table(few, HERE / f"{codec}.parquet", compression=codec, **short)
        refused[f"{codec}.parquet"] = f"column text: compressed with {codec}"
    prefixes = {"text": "DELTA_BYTE_ARRAY"}
    pq.write_table(few, HERE / "prefixes.parquet", use_dictionary=False, column_encoding=prefixes, **short)
    refused["prefixes.parquet"] = "column text: encoded as DELTA_BYTE_ARRAY"
    (HERE / "refused.json").write_text(json.dumps(refused, indent=1) + "\n")


main()
