"""Strict types of settings and job files: no conversion between text, numbers and booleans; numbers are finite."""

from __future__ import annotations

import functools
import re
import sys
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from stylebank.errors import UsageError, printable
from stylebank.style import PIXELS, layer_order

INT_MAX, FLOAT_MAX = 2**63 - 1, sys.float_info.max

Integer = Annotated[int, Meta(ge=-INT_MAX, le=INT_MAX, description="a whole number")]
Natural = Annotated[int, Meta(ge=0, le=INT_MAX, description="0 or more, a whole number")]
Count = Annotated[int, Meta(ge=1, le=INT_MAX, description="1 or more, a whole number")]
Side = Annotated[int, Meta(ge=32, le=INT_MAX, description="32 or more, a whole number")]
Percent = Annotated[int, Meta(ge=1, le=100, description="1 to 100, a whole number")]
Number = Annotated[float, Meta(ge=-FLOAT_MAX, le=FLOAT_MAX, description="a finite number")]
Weight = Annotated[float, Meta(ge=0, le=FLOAT_MAX, description="0 or more, a finite number")]
Exponent = Annotated[float, Meta(ge=0, le=2, description="0 to 2")]
Text = Annotated[str, Meta(description="a text")]
Texts = Annotated[tuple[str, ...], Meta(description="a list of texts")]
Sides = Annotated[tuple[Side, ...], Meta(description="a list of whole numbers, each 32 or more")]
Flag = Annotated[bool, Meta(description="true or false")]
LAYER_WEIGHTS = Meta(description='a list of texts such as "relu4=0.5", or a table of layers and weights')


@functools.cache
def field_types(dataclass: Hashable) -> dict[str, Any]:
    """Return the type of each field, with its bounds and its description."""
    return get_type_hints(dataclass, include_extras=True)


def check_fields(instance: Any) -> None:
    """Replace each field of a frozen dataclass by its value as `checked` returns it.

    Raises
    ------
    UsageError
    """
    for name, hint in field_types(instance.__class__).items():
        object.__setattr__(instance, name, checked(name, getattr(instance, name), hint))


def checked(name: str, value: Any, hint: Any) -> Any:
    """Return a value as the type `hint`.

    Only exact conversions are made: a NumPy scalar to Python's type, 512.0 to an integer, 2 to a float,
    a list to a tuple.

    Raises
    ------
    UsageError
        ``NAME VALUE: expected DESCRIPTION.``
    """
    value = (
        [_exact(part, hint) for part in value] if isinstance(value, list | tuple | np.ndarray) else _exact(value, hint)
    )
    try:
        return msgspec.convert(value, hint)
    except (msgspec.ValidationError, ValueError):
        raise UsageError(f"{name} {shown(value)}: expected {description(hint)}.") from None


def _exact(value: Any, hint: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    integral = isinstance(value, float) and value.is_integer() and any(base is int for base, _ in _members(hint))
    return int(value) if integral else value


def description(hint: Any) -> str:
    """Return in words what a type accepts; None is not mentioned."""
    return " or ".join(words for _base, words in _members(hint))


def _members(hint: Any) -> list[tuple[Any, str]]:
    """Return each type of a union, or the type alone, with its description."""
    members = get_args(hint) if get_origin(hint) in {typing.Union, types.UnionType} else (hint,)
    annotated = [get_args(member)[:2] for member in members if get_origin(member) is Annotated]
    return [(base, meta.description or "") for base, meta in annotated]


def shown(value: Any) -> str:
    """Return a value as a message shows it, cut to 80 characters; of a long integer, the number of its digits."""
    try:
        if isinstance(value, int) and abs(value) > INT_MAX:
            return f"({len(str(abs(value)))} digits, more than 64 bits hold)"
        text = f"{value:g}" if isinstance(value, float) else repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        text = "(thousands of digits, more than 64 bits hold)"
    return printable(text if len(text) <= 80 else f"{text[:77]}...")


def weight_pairs(weights: Any) -> tuple[tuple[str, float], ...]:
    """Return sorted pairs of layer or block and weight, from a mapping, pairs, or texts such as ``relu4_1=2``."""
    if not isinstance(weights, Mapping | list | tuple):
        raise UsageError(f"layer_weights {shown(weights)}: expected {LAYER_WEIGHTS.description}.")
    by_layer: dict[str, float] = {}
    for pair in weights.items() if isinstance(weights, Mapping) else weights:
        try:
            name, weight = pair.split("=") if isinstance(pair, str) else pair
            name, weight = name.strip(), float(weight) if isinstance(weight, str) else weight
        except (AttributeError, TypeError, ValueError):
            raise UsageError(
                f"layer_weights {shown(pair)}: expected LAYER=WEIGHT, such as relu4_1=2 or relu5=0.5."
            ) from None
        by_layer[name] = checked(f"layer_weights {name}", weight, Weight)
        if not re.fullmatch(r"(conv|relu)[1-5]", name):
            network_layers((name,))
    return tuple(sorted(by_layer.items()))


def weights_of_layers(by_name: Mapping[str, float], layers: Sequence[str]) -> tuple[float, ...]:
    """Return the weight of each layer from weights by layer or block; the default is 1.

    Raises
    ------
    UsageError
        If a weight names none of the layers, or all weights are 0.
    """
    for name in by_name:
        if not any(name in (layer, layer[:5]) for layer in layers):
            raise UsageError(f"layer_weights {name}: not among the style layers {' '.join(layers)}. Leave it out.")
    weights = tuple(by_name.get(layer, by_name.get(layer[:5], 1.0)) for layer in layers)
    if not any(weights):
        raise UsageError("layer_weights: all are 0. Give at least one layer a weight above 0.")
    return weights


def network_layers(layers: tuple[str, ...]) -> tuple[str, ...]:
    """Return layers of the network in its order; the pixels are none of them."""
    if PIXELS in layers:
        raise UsageError(f"layer {PIXELS!r}: not a layer of the network, and always measured. Leave it out.")
    return layer_order(layers)


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise `UsageError` for a value that is not among those allowed."""
    if value not in allowed:
        raise UsageError(f"{name} {value!r}: expected one of {', '.join(allowed)}.")


def proof_position(text: str) -> tuple[float, float]:
    """Return the two numbers of a text such as ``50,30``.

    Raises
    ------
    UsageError
        If they are not two numbers from 0 to 100.
    """
    try:
        x, y = (float(part.strip().removesuffix("%")) for part in text.split(","))
    except ValueError:
        x = y = -1.0
    if not (0 <= x <= 100 and 0 <= y <= 100):
        raise UsageError(f"proof_at {shown(text)}: expected percent of width and height, 0 to 100, such as 50,30.")
    return x, y
