"""Borders around images, in PyTorch's words; those of np.pad are more, and work on Tensors too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinygrad_edu import ops
from tinygrad_edu.arguments import answering_for
from tinygrad_edu.checks import check_choice, check_int, check_number
from tinygrad_edu.ops import Operand, checked_operand

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["MODES", "check_border", "pad"]

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # in the words of np.pad


@answering_for
def pad(x: Operand, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """A border around the last axes. It is PyTorch's function: np.pad(x, pad_width) counts the axes from the first.

    Args:
        x: Any shape.
        pad: Widths (left, right) of the last axis, (left, right, top, bottom) of the last two, and so on; a negative
            one cuts off as much.
        mode: "constant", "reflect" (mirrored at the edge elements), "replicate" (the edge elements) or "circular" (from
            the other end). PyTorch has the last three for up to three axes, after one or two others; here they may be
            any.
        value: What a constant border is made of; 0 if None.

    Raises:
        TypeError: Widths that are no sequence of integers.
        ValueError: An odd number of widths or too many, a border that cannot be made of the elements that there are, an
            unknown mode, or a value in another than "constant".
    """
    x, around = checked_operand("pad", x), pairs("pad: pad", pad)
    check_choice("pad: mode", mode, ("constant", *list(MODES)[1:]))
    fill = 0 if value is None else check_number("pad: value", value, finite=False)
    if fill and mode != "constant":
        raise ValueError(f"pad: value is {value!r:.60} and mode {mode!r}; only a constant border is made of a value")
    around = [(0, 0)] * (x.ndim - len(around)) + around
    if len(around) > x.ndim or any(n < -min(a, 0) - min(b, 0) for n, (a, b) in zip(x.shape, around, strict=True)):
        raise ValueError(
            f"pad: pad is {tuple(pad)} for input of shape {x.shape}, which has not so many axes or elements"
        )
    x = cut(x, around) if mode == "circular" else x  # whose border is made of what is left
    added = [(max(a, 0), max(b, 0)) for a, b in around]
    if mode == "constant":
        out = ops.pad(x, added, constant_values=fill)
    else:
        check_border("pad", mode, added, x.shape)
        out = ops.pad(x, added, MODES[mode])
    return out if mode == "circular" else cut(out, around)


def cut(x: Tensor, around: Sequence[tuple[int, int]]) -> Tensor:
    """What negative widths leave."""
    if all(min(widths) >= 0 for widths in around):
        return x
    return x[tuple([slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, around, strict=True)])]


def pairs(name: str, widths: object) -> list[tuple[int, int]]:
    """The widths before and after each axis, from (before, after) of the last, then of the one before, and so on."""
    if not isinstance(widths, (tuple, list)) or any(isinstance(width, (tuple, list)) for width in widths):
        how = "it must be (left, right) of the last axis, perhaps (left, right, top, bottom)"
        raise TypeError(f"{name} is {widths!r:.60}; {how}; NumPy's forms are those of np.pad(x, pad_width)")
    if len(widths) % 2:
        raise ValueError(f"{name} is {widths!r:.60}; it must have two widths for each axis")
    every = [check_int(name, width, -(2**63), wrong_type=TypeError) for width in widths]
    return list(zip(every[::2], every[1::2], strict=True))[::-1]


def check_border(name: str, mode: str, around: Sequence[tuple[int, int]], shape: Sequence[int]) -> None:
    """Raises an error if a border cannot be made of the pixels that there are."""
    limits = {"reflect": [n - 1 for n in shape], "circular": shape, "replicate": [n * 2**63 for n in shape]}.get(mode)
    if limits and any(max(widths) > max(limit, 0) for widths, limit in zip(around, limits, strict=True)):
        most = {"reflect": "narrower than the images", "circular": "at most as wide as they"}.get(
            mode, "around some pixels"
        )
        raise ValueError(f"{name}: padding {list(around)} of images of {tuple(shape)}; a {mode} border must be {most}")
