"""Makes sglang.json from vllm.json: the same turns in the shapes of SGLang 0.5.23's `/generate`."""

import json
import pathlib

here = pathlib.Path(__file__).parent
recorded = json.loads((here / "vllm.json").read_text())
exchanges = []


def add(path, body, answer):
    exchanges.append({"path": path, "body": body, "status": 200, "answer": json.dumps(answer)})


add("/server_info", None, {"version": "0.5.23", "context_length": 512, "max_total_num_tokens": 4096})
for exchange in recorded["exchanges"]:
    body, answer = exchange["body"], json.loads(exchange["answer"] or "null")
    if exchange["path"] == "/collective_rpc":
        folder, version = body["kwargs"]["weights_path"], None
    elif exchange["path"] == "/update_weight_version":
        version = body["new_version"]
        update = {"model_path": folder, "weight_version": version, "flush_cache": True}
        add("/update_weights_from_disk", update, {"success": True, "message": "Succeeded to update model weights."})
    elif exchange["path"] == "/inference/v1/generate":
        params, choice = body["sampling_params"], answer["choices"][0]
        sampling = {
            "max_new_tokens": params["max_tokens"],
            "sampling_seed": params["seed"],
            "ignore_eos": False,
            "no_stop_trim": True,
            "skip_special_tokens": False,
        }
        same = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty"]
        same += ["frequency_penalty", "stop_token_ids"]
        sampling.update({key: params[key] for key in same})
        asked = {"input_ids": body["token_ids"], "sampling_params": sampling, "return_logprob": True, "stream": False}
        ids, content = choice["token_ids"], choice["logprobs"]["content"]
        stopped = choice["finish_reason"] == "stop"
        finish = {"type": "stop", "matched": ids[-1]} if stopped else {"type": "length", "length": len(ids)}
        meta = {
            "id": "0",
            "finish_reason": finish,
            "prompt_tokens": len(body["token_ids"]),
            "weight_version": version,
            "completion_tokens": len(ids),
            "cached_tokens": 0,
            "output_token_logprobs": [[entry["logprob"], entry["token_id"], None] for entry in content],
        }
        add("/generate", asked, {"text": "", "output_ids": ids, "meta_info": meta})

source = "shapes of SGLang 0.5.23, numbers of vllm.json"
text = json.dumps({"source": source, "exchanges": exchanges}, indent=2) + "\n"
(here / "sglang.json").write_text(text)
