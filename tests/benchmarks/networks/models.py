"""The networks, as layers."""

from __future__ import annotations

from tests.benchmarks.networks.layers import (
    GRU,
    Activation,
    Attention,
    BatchNorm,
    Beside,
    Conv,
    Embedding,
    LayerNorm,
    Layers,
    Linear,
    MaxPool,
    Mean,
    Positions,
    Residual,
    Tokens,
    Up,
)

RELU, RELU6, GELU = map(Activation, ("ReLU", "ReLU6", "GELU"))


def pointwise(inputs: int, outputs: int, stride: int = 1) -> Layers:
    """A 1x1 convolution and its norm."""
    return Conv(inputs, outputs, 1, stride, 0), BatchNorm(outputs)


def spatial(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> Layers:
    """A 3x3 convolution and its norm."""
    return Conv(inputs, outputs, 3, stride, groups=groups), BatchNorm(outputs)


def resnet(widths: tuple[int, ...], depths: tuple[int, ...], bottleneck: bool, classes: int) -> Layers:
    """A residual network with the stem for large images; in stages, of which all but the first halve the image."""
    channels = widths[0]
    layers: Layers = (Conv(3, channels, 7, 2, 3), BatchNorm(channels), RELU, MaxPool(3, 2, 1))
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        outputs = 4 * width if bottleneck else width
        for block in range(depth):
            stride = 2 if stage and not block else 1
            if bottleneck:
                inner = (
                    *pointwise(channels, width), RELU, *spatial(width, width, stride), RELU, *pointwise(width, outputs)
                )  # fmt: skip
            else:
                inner = (*spatial(channels, width, stride), RELU, *spatial(width, width))
            same = stride == 1 and channels == outputs
            layers += Residual(inner, () if same else pointwise(channels, outputs, stride)), RELU
            channels = outputs
    return *layers, Mean(), Linear(channels, classes)


#: MobileNetV2: expansion, channels, blocks, stride of the first; strides are those for 32x32 images.
INVERTED = (1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)


def mobilenet(stages: tuple[tuple[int, int, int, int], ...], last: int, classes: int) -> Layers:
    """Inverted residuals: wider inside, by channels."""
    layers: Layers = (*spatial(3, 32), RELU6)
    channels = 32
    for expansion, outputs, blocks, first in stages:
        for block in range(blocks):
            stride, width = 1 if block else first, expansion * channels
            inner: Layers = (*pointwise(channels, width), RELU6) if expansion > 1 else ()
            inner += (*spatial(width, width, stride, groups=width), RELU6, *pointwise(width, outputs))
            layers += (Residual(inner),) if stride == 1 and channels == outputs else inner
            channels = outputs
    return *layers, *pointwise(channels, last), RELU6, Mean(), Linear(last, classes)


def unet(channels: int, widths: tuple[int, ...]) -> Layers:
    """Two convolutions at each scale down, two up, beside those of the way down."""
    return *_scale(channels, widths), Conv(widths[0], channels, 1, 1, 0, bias=True)


def _scale(channels: int, widths: tuple[int, ...]) -> Layers:
    width, *smaller = widths
    down: Layers = (*spatial(channels, width), RELU, *spatial(width, width), RELU)
    if not smaller:
        return down
    inner = (MaxPool(), *_scale(width, tuple(smaller)), Up(smaller[0], width))
    return *down, Beside(inner), *spatial(2 * width, width), RELU, *spatial(width, width), RELU


def feed_forward(width: int) -> Layers:
    """Four times as wide inside."""
    return Linear(width, 4 * width), GELU, Linear(4 * width, width)


def norm_first(width: int, heads: int, depth: int, causal: bool) -> Layers:
    """Transformer blocks with the norms in front of what is added."""
    block = (
        Residual((LayerNorm(width), Attention(width, heads, causal))),
        Residual((LayerNorm(width), *feed_forward(width))),
    )
    return block * depth + (LayerNorm(width),)


def gpt(words: int, length: int, width: int, heads: int, depth: int) -> Layers:
    """The next word at each position."""
    blocks = norm_first(width, heads, depth, causal=True)
    return Embedding(words, width), Positions(length, width), *blocks, Linear(width, words)


def vit(patch: int, size: int, width: int, heads: int, depth: int, classes: int) -> Layers:
    """An image as a sequence of patches, and the mean of what becomes of them."""
    patches = (Conv(3, width, patch, patch, 0, bias=True), Tokens(), Positions((size // patch) ** 2, width))
    return *patches, *norm_first(width, heads, depth, causal=False), Mean(), Linear(width, classes)


def bert(words: int, length: int, width: int, heads: int, depth: int, classes: int) -> Layers:
    """The class of a text; the norms are behind what is added."""
    block: Layers = (
        *(Residual((Attention(width, heads, False),)), LayerNorm(width)),
        *(Residual(feed_forward(width)), LayerNorm(width)),
    )
    start = (Embedding(words, width), Positions(length, width), LayerNorm(width))
    return *start, *(block * depth), Mean(), Linear(width, classes)


def tagger(words: int, width: int, hidden: int, tags: int) -> Layers:
    """A tag for each word, read in both directions."""
    return Embedding(words, width), GRU(width, hidden), Linear(2 * hidden, tags)
