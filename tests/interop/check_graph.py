"""A checkpoint's export has to be a graph that OpenVINO optimizes as it does those of its own exporter.

- The paged attention transformation takes every attention (continuous batching needs it).
- In the CPU plug-in each attention keeps its keys and values in place (one node with the state as input), rotary embeddings and
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
LAYER_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
PAGED_INPUTS = {"input_ids", "position_ids", "max_context_len", "past_lens", "subsequence_begins", "block_indices_begins", "block_indices"}


def check_interface(report, model, attentions, convolutions):
    inputs = {port.get_any_name(): (port.get_element_type().get_type_name(), str(port.get_partial_shape())) for port in model.inputs}
    report.equal("inputs", inputs, INPUTS)
    report.equal("outputs", [(port.get_any_name(), port.get_element_type().get_type_name()) for port in model.outputs], [("logits", "f32")])
    variables = [variable.get_info().variable_id for variable in model.get_variables()]
    report.equal("states", len(set(variables)), 2 * attentions + convolutions)


def layer_type(node):
    return node.get_rt_info()["layerType"].get()


def keeps_state(attention):
    parents = Counter(layer_type(port.get_source_output().get_node()) for port in attention.inputs())
    return parents["MemoryInput"] == 2


def has_constant(port):
    """Whether an input is computed from constants alone (a weight, compressed or not)."""
    node = port.get_source_output().get_node()
    if node.get_type_name() == "Constant":
        return True
    return node.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape", "Gather") and all(map(has_constant, node.inputs()))


def is_weight(port):
    return has_constant(port) and len(port.get_partial_shape()) == 2


def weight_products(model):
    return sum(node.get_type_name() == "MatMul" and any(map(is_weight, node.inputs())) for node in model.get_ops())


def layer_norms(model):
    """Norms of one input differ in their weights only, which are multiplied afterwards: OpenVINO computes them once. It has no kernel
    for those of heads, which have four dimensions."""
    norms = [node for node in model.get_ops() if node.get_type_name() == "MVN" and len(node.input_value(0).get_partial_shape()) < 4]
    return len({(port.get_node().get_friendly_name(), port.get_index()) for port in (node.input_value(0) for node in norms)})


def rotations(model):
    """Products with a sine: one for each tensor that is rotated in a layer."""
    found, waiting = set(), [node for node in model.get_ops() if node.get_type_name() == "Sin"]
    while waiting:
        for port in waiting.pop().output(0).get_target_inputs():
            node = port.get_node()
            if node.get_type_name() == "Multiply" and not any(map(has_constant, node.inputs())):
                found.add(node.get_friendly_name())
            else:
                waiting.append(node)
    return len(found)


def check_fusions(report, model, attentions):
    expected = {
        "rotary embedding nodes": ("RoPE", rotations(model)),
        "RMS norm nodes": ("RMS", sum(node.get_type_name() == "ReduceMean" for node in model.get_ops())),
        "layer norm nodes": ("MVN", layer_norms(model)),
        "FullyConnected nodes": ("FullyConnected", weight_products(model)),
    }
    nodes = ov.Core().compile_model(model, "CPU", EXACT).get_runtime_model().get_ops()
    fused = [node for node in nodes if layer_type(node) == "ScaledDotProductAttention"]
    report.equal("attention nodes", len(fused), attentions)
    report.equal("attention nodes with the cache inside", sum(map(keeps_state, fused)), attentions)
    kinds = Counter(map(layer_type, nodes))
    for what, (kind, count) in expected.items():
        report.equal(what, kinds[kind], count)


def check_paged(report, model, attentions):
    paged_attention_transformation(model, False, False)
    kinds = Counter(node.get_type_name() for node in model.get_ops())
    report.equal("paged attention nodes", kinds["PagedAttentionExtension"], attentions)
    report.equal("attention, state reads and writes left", [kinds[kind] for kind in ("ScaledDotProductAttention", "ReadValue", "Assign")], [0, 0, 0])
    names = {port.get_any_name() for port in model.inputs if not port.get_any_name().startswith(("la.", "conv_state_table."))}
    caches = {f"{kind}_cache.{layer}" for kind in ("key", "value") for layer in range(attentions)}
    report.equal("inputs missing or too many after it", sorted(names ^ (PAGED_INPUTS | caches)), [])


def main():
    args = arguments(__doc__)
    config = json.loads((args.checkpoint / "config.json").read_text())
    convolutions = config.get("layer_types", []).count("conv")
    attentions = next(config[key] for key in LAYER_COUNTS if key in config) - convolutions
    # OpenVINO's attention has no cap on scores: such models are exported with theirs written out, and have no paged form.
    capped = config.get("attn_logit_softcapping") is not None
    report = Report(f"graph of {args.checkpoint.name} {args.options}")
    with Exported(args) as folder:
        model = ov.Core().read_model(xml_of(folder))
        check_interface(report, model, attentions, convolutions)
        check_fusions(report, model, 0 if capped else attentions)
        if not capped:
            check_paged(report, model, attentions)
        del model
    report.finish()


if __name__ == "__main__":
    main()
