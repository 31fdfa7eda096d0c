"""A checkpoint's export has to be a graph that OpenVINO optimizes as it does those of its own exporter.

- The paged attention transformation takes every attention (continuous batching needs it).
- In the CPU plug-in each attention keeps its keys and values in place (one node with the state as input), rotary embeddings and RMS
  norms are single nodes, and every matrix multiplication with weights is a FullyConnected.
- Inputs, outputs and the state have the names and types that OpenVINO GenAI looks for.
"""

import json
from collections import Counter

from checks import Exported, Report, arguments, quiet_openvino

quiet_openvino()
import openvino as ov  # noqa: E402
from openvino._offline_transformations import paged_attention_transformation  # noqa: E402

from openvino_runtime import EXACT, xml_of  # noqa: E402

INPUTS = {"input_ids": ("i64", "[?,?]"), "attention_mask": ("i64", "[?,?]"), "position_ids": ("i64", "[?,?]"), "beam_idx": ("i32", "[?]")}
PAGED_INPUTS = {"input_ids", "position_ids", "max_context_len", "past_lens", "subsequence_begins", "block_indices_begins", "block_indices"}


def check_interface(report, model, layers):
    inputs = {port.get_any_name(): (port.get_element_type().get_type_name(), str(port.get_partial_shape())) for port in model.inputs}
    report.equal("inputs", inputs, INPUTS)
    report.equal("outputs", [(port.get_any_name(), port.get_element_type().get_type_name()) for port in model.outputs], [("logits", "f32")])
    variables = [variable.get_info().variable_id for variable in model.get_variables()]
    report.equal("states", len(set(variables)), 2 * layers)


def layer_type(node):
    return node.get_rt_info()["layerType"].get()


def keeps_state(attention):
    parents = Counter(layer_type(port.get_source_output().get_node()) for port in attention.inputs())
    return parents["MemoryInput"] == 2


def check_fusions(report, model, layers, norms):
    nodes = ov.Core().compile_model(model, "CPU", EXACT).get_runtime_model().get_ops()
    attentions = [node for node in nodes if layer_type(node) == "ScaledDotProductAttention"]
    report.equal("attention nodes", len(attentions), layers)
    report.equal("attention nodes with the cache inside", sum(map(keeps_state, attentions)), layers)
    kinds = Counter(map(layer_type, nodes))
    report.equal("rotary embedding nodes", kinds["RoPE"], 2 * layers)
    report.equal("RMS norm nodes", kinds["RMS"], norms)
    report.equal("FullyConnected nodes", kinds["FullyConnected"], 7 * layers + 1)


def check_paged(report, model, layers):
    paged_attention_transformation(model, False, False)
    kinds = Counter(node.get_type_name() for node in model.get_ops())
    report.equal("paged attention nodes", kinds["PagedAttentionExtension"], layers)
    report.equal("attention, state reads and writes left", [kinds[kind] for kind in ("ScaledDotProductAttention", "ReadValue", "Assign")], [0, 0, 0])
    names = {port.get_any_name() for port in model.inputs}
    caches = {f"{kind}_cache.{layer}" for kind in ("key", "value") for layer in range(layers)}
    report.equal("inputs missing or too many after it", sorted(names ^ (PAGED_INPUTS | caches)), [])


def main():
    args = arguments(__doc__)
    config = json.loads((args.checkpoint / "config.json").read_text())
    layers = config["num_hidden_layers"]
    norms = 2 * layers + 1 + (2 * layers if config["model_type"] == "qwen3" else 0)
    report = Report(f"graph of {args.checkpoint.name} {args.options}")
    with Exported(args) as folder:
        model = ov.Core().read_model(xml_of(folder))
        check_interface(report, model, layers)
        check_fusions(report, model, layers, norms)
        check_paged(report, model, layers)
        del model
    report.finish()


if __name__ == "__main__":
    main()
