"""An exported model in OpenVINO's CPU plug-in, with every shortcut in precision switched off."""

from pathlib import Path

import numpy as np
import openvino as ov

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "INFERENCE_NUM_THREADS": 1}


def xml_of(folder):
    return Path(folder) / "openvino_model.xml"


class OpenVinoModel:
    """One stateful request: step() continues the sequences, reset() forgets them."""

    def __init__(self, folder):
        self.compiled = ov.Core().compile_model(xml_of(folder), "CPU", EXACT)
        self.request = self.compiled.create_infer_request()
        self.names = {name for port in self.compiled.inputs for name in port.names}
        self.reset()

    def reset(self):
        self.request.reset_state()
        self.mask = None

    def step(self, ids, mask=None):
        new = np.ones_like(ids) if mask is None else mask
        self.mask = new if self.mask is None else np.concatenate([self.mask, new], axis=1)
        positions = np.maximum(self.mask.cumsum(axis=1) - 1, 0)[:, -ids.shape[1]:]
        feeds = {"input_ids": ids, "attention_mask": self.mask, "position_ids": positions, "beam_idx": np.arange(len(ids), dtype=np.int32)}
        return self.request.infer({name: value for name, value in feeds.items() if name in self.names})["logits"].copy()

    def logits(self, ids, mask=None):
        self.reset()
        return self.step(ids, mask)

    def chunked(self, ids, chunks):
        self.reset()
        ends = np.cumsum(chunks)
        return np.concatenate([self.step(ids[:, end - size:end]) for size, end in zip(chunks, ends)], axis=1)

    def greedy(self, ids, count):
        self.reset()
        answer = []
        for _ in range(count):
            ids = self.step(ids)[:, -1].argmax(axis=-1)[:, None]
            answer.append(int(ids[0, 0]))
        return answer
