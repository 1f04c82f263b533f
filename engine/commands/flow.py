"""``main.py flow``: the motion between two frames, read off the affinity."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.arguments import add_engine_arguments, engine_config

EXIT_DONE = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="A", help="an image, or a clip with --frame")
    parser.add_argument("second", metavar="B", nargs="?", help="the next image of the same size")
    parser.add_argument("--frame", type=int, metavar="N", help="take frames N and N + 1 of the clip A")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="picture of the flow, or a .flo file")
    parser.add_argument("--flo", type=Path, metavar="FILE", help="also write the flow as a .flo file")
    parser.add_argument(
        "--beside", type=Path, metavar="PNG", help="also draw both frames, this flow and OpenCV's DIS flow"
    )
    parser.add_argument("--truth", type=Path, metavar="FLO", help="the true flow; its endpoint error is printed")
    add_engine_arguments(parser)


def run(options: argparse.Namespace) -> int:
    from engine.errors import SourceError, UserError
    from engine.evaluation.strips import encode_png, side_by_side
    from engine.insight.motion import colours, dis_flow, endpoint_error, flow_between, read_flo, write_flo
    from engine.insight.reading import read_frames, write_bytes
    from engine.runtime.factory import create_tracker

    if (options.second is None) == (options.frame is None):
        raise UserError("The flow is between two frames.", "Name two images, or one clip with --frame N.")
    truth = None if options.truth is None else read_flo(options.truth)
    if options.second is None:
        first, second = read_frames(options.first, options.frame, 2)
    else:
        first, second = (read_frames(spec, 0, 1)[0] for spec in (options.first, options.second))
    if truth is not None and truth.shape[:2] != first.rgb.shape[:2]:
        raise SourceError(f"{options.truth} is of another size than the frames.", "Compare flows of one size.")
    found = flow_between(create_tracker(engine_config(options)), first.rgb, second.rgb)
    other = dis_flow(first.rgb, second.rgb)
    ours_colours, other_colours = colours([found.pixels, other])
    if options.out.suffix.lower() == ".flo":
        write_flo(options.out, found.pixels)
    else:
        write_bytes(options.out, encode_png(ours_colours))
    if options.flo is not None:
        write_flo(options.flo, found.pixels)
    if options.beside is not None:
        strip = side_by_side([first.rgb, second.rgb, ours_colours, other_colours])
        write_bytes(options.beside, encode_png(strip))

    def told(pixels: float) -> str:
        return f"{pixels:.2f} pixels ({found.in_cells(pixels):.2f} cells)"

    print(f"mean motion {told(endpoint_error(found.pixels, other * 0))}, certainty {found.certainty.mean():.2f}")
    print(f"difference from OpenCV's DIS flow {told(endpoint_error(found.pixels, other))}")
    if truth is not None:
        print(
            f"endpoint error {told(endpoint_error(found.pixels, truth))}, of DIS {told(endpoint_error(other, truth))}"
        )
    return EXIT_DONE
