"""A network that won as torch code; its numbers lie beside the program."""

from __future__ import annotations

from autoreg.model import Model, Parameters
from autoreg.programs.linear_code import HEAD, Body
from autoreg.programs.numbers import beside

IMPORTS = ["import torch", "from torch import nn"]

VECTORS = {
    "edges": """
    widths = np.maximum(np.diff(W["edges"], axis=1), 1e-6)
    vectors = 2 * np.clip((numeric - W["edges"][:, :-1]) / widths, 0.0, 1.0) - 1""",
    "frequencies": """
    turns = 2 * np.pi * numeric * W["frequencies"]
    vectors = np.concatenate([np.sin(turns), np.cos(turns)], axis=2)""",
}
EMBED = '''

def embedded(Z, W):
    """Inputs with the vectors of numeric ones behind them."""
    numeric = Z[:, W["embedded"].astype(int), None]{vectors}
    return np.concatenate([Z, vectors.reshape(len(Z), -1)], axis=1)
'''
DENSE = '''

def dense(weight, bias):
    """A layer of torch with these numbers; ``weight`` is (in, out)."""
    layer = nn.Linear(*weight.shape)
    layer.weight.data = torch.as_tensor(weight.T).contiguous()
    layer.bias.data = torch.as_tensor(bias)
    return layer
'''
FILTERS = '''

def filters(weight, bias):
    """A 3 x 3 convolution of torch with these numbers; ``weight`` is (channels * 9, out)."""
    layer = nn.Conv2d(len(weight) // 9, weight.shape[1], 3, padding=1)
    layer.weight.data = torch.as_tensor(weight.T.reshape(weight.shape[1], -1, 3, 3)).contiguous()
    layer.bias.data = torch.as_tensor(bias)
    return layer
'''
NETWORK = '''

class Network(nn.Module):
    """{depth} hidden layers.{remarks}"""

    def __init__(self, W):
        super().__init__()
        self.W = W
        layers = [{make}(W[f"weight_{{k}}"], W[f"bias_{{k}}"]) for k in range({depth})]
        self.layers = nn.ModuleList(layers)
        self.output = dense(W["output_weight"], W["output_bias"])

    def forward(self, hidden{number}):
{forward}
        return {out}


torch.set_default_dtype(torch.float64)
{made}
'''
PARTS = """\
PARTS = [
    {{key.partition(".")[2]: W[key] for key in W if key.startswith(f"member_{{k}}.")}}
    for k in range({count})
]"""
PREDICT = '''

def answers(network, Z{number}):
    """What a network says of standardized inputs: {kind} (n, {columns})."""
    scores = network(torch.as_tensor({given}){number})
    return {linked}


def predict(frame):
    """{what} of each row of a table."""
    Z = inputs(frame)
    with torch.no_grad():
        {scores}
    return {answer}
'''
AVERAGED = """\
each = [answers({who}, Z{number}){over}]
        scores = torch.stack(each).mean(dim=0)"""
NEXT = "\n\n"
MEANS = 'pd.DataFrame({"prediction": scores[:, 0].numpy()})'
CHANCES = """pd.DataFrame(
        {
            "prediction": np.array(CLASSES)[scores.argmax(axis=1).numpy()],
            **{f"probability_{one}": scores[:, k].numpy() for k, one in enumerate(CLASSES)},
        }
    )"""


def network_code(model: Model, name: str) -> tuple[list[str], Body]:
    """Imports and body of the program of a network."""
    members = model.parameters.members
    arrays, images = members[0].arrays, members[0].info.get("images", [])
    constants = [
        *beside(name),
        'MEAN, SCALE = W["mean"], W["scale"]',
    ]
    if len(members) > 1:
        constants += PARTS.format(count=len(members)).splitlines()
    code = ""
    for key, vectors in VECTORS.items():
        if key in arrays:
            code += EMBED.format(vectors=vectors)
    made = "network = Network(W).eval()"
    if len(members) > 1:
        made = "networks = [Network(part).eval() for part in PARTS]"
    code += DENSE + (FILTERS if images else "") + _network(members[0], made)
    code += _predict(model)
    head = ["import sys", "from pathlib import Path", *HEAD[1:], *IMPORTS]
    return head, Body("\n".join(constants), code)


def _network(part: Parameters, made: str) -> str:
    arrays, info = part.arrays, part.info
    depth, images = int(info["depth"]), info.get("images", [])
    make = f"(filters if k < {len(images)} else dense)" if images else "dense"
    passes = "pass_0" in arrays
    scaled = "target_scale" in arrays
    out = "self.output(hidden)"
    out += ' * self.W["target_scale"][0] + self.W["target_mean"][0]' if scaled else ""
    remarks = [
        (bool(images), f"{len(images)} of them 3 x 3 filters"),
        ("norm_scale_0" in arrays, "batch normalization as it was learned"),
        ("layer_gain_0" in arrays, "layer normalization"),
        (bool(info.get("skip")), "each but the first adding to what it is given"),
        (passes, "averaged over passes with units left out"),
    ]
    told = "".join(f"\n\n    * {words};" for holds, words in remarks if holds)
    told = f"{told.replace(f';{NEXT}', f';{NEXT[1:]}')[:-1]}.\n    " if told else ""
    lines = [line for k in range(depth) for line in _layer(part, k)]
    return NETWORK.format(
        depth=depth,
        remarks=told,
        make=make,
        number=", number" if passes else "",
        forward="\n".join(f"        {line}" for line in lines),
        out=out,
        made=made,
    )


def _layer(part: Parameters, k: int) -> list[str]:
    """The lines of the forward pass through one hidden layer."""
    arrays, info = part.arrays, part.info
    images = info.get("images", [])
    if k < len(images):
        return _filter_layer(k, images)
    lines = [f"added = self.layers[{k}](hidden)"]
    if f"norm_scale_{k}" in arrays:
        lines += [
            f'added = added * torch.as_tensor(self.W["norm_scale_{k}"])',
            f'added = added + torch.as_tensor(self.W["norm_shift_{k}"])',
        ]
    if f"layer_gain_{k}" in arrays:
        lines += [
            f'gain = torch.as_tensor(self.W["layer_gain_{k}"])',
            f'shift = torch.as_tensor(self.W["layer_shift_{k}"])',
            "added = nn.functional.layer_norm(added, added.shape[1:], gain, shift, 1e-5)",
        ]
    lines.append("added = torch.relu(added)")
    if f"pass_{k}" in arrays:
        lines.append(f'added = added * torch.as_tensor(self.W["pass_{k}"][number])')
    skips = info.get("skip") and k > len(images)
    lines.append("hidden = hidden + added" if skips else "hidden = added")
    return lines


def _filter_layer(k: int, images: list[list[int]]) -> list[str]:
    height, width, channels = images[k]
    pooled = min(height, width) >= 2
    lines = [
        f"hidden = hidden.reshape(len(hidden), {height}, {width}, {channels}).permute(0, 3, 1, 2)",
        f"hidden = torch.relu(self.layers[{k}](hidden))",
    ]
    if pooled:
        lines.append("hidden = nn.functional.max_pool2d(hidden, 2)")
    return [*lines, "hidden = hidden.permute(0, 2, 3, 1).reshape(len(hidden), -1)"]


def _predict(model: Model) -> str:
    members = model.parameters.members
    arrays = members[0].arrays
    binary = model.task == "binary" and arrays["output_weight"].shape[1] == 1
    linked = "torch.softmax(scores, dim=1)" if model.classes else "scores"
    if binary:
        linked = "torch.softmax(nn.functional.pad(scores, (1, 0)), dim=1)"
    if model.task == "count":
        linked = "scores.exp()"
    number = ", number" if "pass_0" in arrays else ""
    over = " for one in networks" if len(members) > 1 else ""
    over += f" for number in range({len(arrays['pass_0'])})" if number else ""
    who = "one" if len(members) > 1 else "network"
    averaged = AVERAGED.format(who=who, number=number, over=over)
    return PREDICT.format(
        number=number,
        kind="probabilities" if model.classes else "means",
        columns=len(model.classes) or 1,
        given="embedded(Z, network.W)" if "embedded" in arrays else "Z",
        linked=linked,
        what="The most probable class" if model.classes else "The mean",
        scores=averaged if over else "scores = answers(network, Z)",
        answer=CHANCES if model.classes else MEANS,
    )
