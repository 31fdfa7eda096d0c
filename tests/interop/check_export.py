"""What a checkpoint's export computes under OpenVINO: prompt, left-padded batch, steps through the state, greedy answer.

Without compression it has to be what transformers computes. Compressed, it has to be what Nibble itself computes from the same export.
"""

from checks import CHUNKS, Expected, Exported, Nibble, Report, arguments, masked, quiet_openvino

quiet_openvino()
import openvino as ov  # noqa: E402

from openvino_runtime import OpenVinoModel, xml_of  # noqa: E402

CODES = {"int8": {"u8", "i8"}, "int4": {"u4", "i4"}, "nf4": {"nf4"}, "mxfp4": {"f4e2m1"}}


def against_transformers(report, model, expected):
    report.close("prompt", model.logits(expected.prompt), expected.logits)
    batch = masked(model.logits(expected.batch, expected.mask), expected.mask)
    report.close("left-padded batch", batch, expected.batch_logits)
    report.close(f"steps {CHUNKS}", model.chunked(expected.prompt, CHUNKS), expected.chunk_logits)
    report.equal("greedy", model.greedy(expected.prompt, expected.greedy.shape[1]), expected.greedy[0].tolist())


def against_nibble(report, model, nibble, folder, expected):
    report.close("prompt, OpenVINO and Nibble", model.logits(expected.prompt), nibble.logits(folder, expected.prompt))
    theirs = masked(model.logits(expected.batch, expected.mask), expected.mask)
    ours = masked(nibble.logits(folder, expected.rows()), expected.mask)
    report.close("left-padded batch, OpenVINO and Nibble", theirs, ours)


def check_codes(report, folder, codes):
    """The layers' weights are stored as asked for, not left as they were."""
    constants = (node for node in ov.Core().read_model(xml_of(folder)).get_ops() if node.get_type_name() == "Constant")
    types = {node.get_element_type().get_type_name() for node in constants}
    report.line(bool(types & codes), f"constants of type {' or '.join(sorted(codes))} among {sorted(types)}")


def main():
    args = arguments(__doc__)
    expected = Expected(args.checkpoint)
    codes = next((CODES[word] for word in args.options.split() if word in CODES), None)
    report = Report(f"export of {args.checkpoint.name} {args.options}")
    with Exported(args) as folder:
        model = OpenVinoModel(folder)
        if codes:
            check_codes(report, folder, codes)
        else:
            against_transformers(report, model, expected)
        if args.nibble:
            against_nibble(report, model, Nibble(args.nibble), folder, expected)
    report.finish()


if __name__ == "__main__":
    main()
