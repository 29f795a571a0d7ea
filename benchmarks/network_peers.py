"""skorch on made-up rows, one net at a time; run by ``network.py --peers``.

    python network_peers.py '{"rows": 455, "columns": 30, ...}'

Prints the mean CPU seconds of a fit as JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

from single_thread import THREADS  # first: numpy reads it when it is loaded

# isort: split
import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit

torch.set_num_threads(THREADS)
warnings.simplefilter("ignore")


class Perceptron(torch.nn.Module):
    """Two hidden layers with dropout."""

    def __init__(self, columns, width, rate):
        super().__init__()
        layers = []
        for inputs in (columns, width):
            layers += [torch.nn.Linear(inputs, width), torch.nn.ReLU(), torch.nn.Dropout(rate)]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(width, 2))

    def forward(self, inputs):
        return self.layers(inputs)


class Mixing(NeuralNetClassifier):
    """Mixup, a share for each row, as the documentation of skorch suggests: in the step."""

    def __init__(self, *args, alpha=0.2, **options):
        super().__init__(*args, **options)
        self.alpha = alpha

    def train_step_single(self, batch, **options):
        inputs, labels = batch
        rows = len(inputs)
        share = np.random.beta(self.alpha, self.alpha, (rows, 1)).astype(np.float32)
        share, partner = torch.from_numpy(share), torch.randperm(rows)
        targets = torch.nn.functional.one_hot(labels, 2).float()
        self._set_training(True)
        outputs = self.infer(share * inputs + (1 - share) * inputs[partner], **options)
        mixed = share * targets + (1 - share) * targets[partner]
        loss = torch.nn.functional.cross_entropy(outputs, mixed)
        loss.backward()
        return {"loss": loss, "y_pred": outputs}


def net(asked, dials):
    early = asked["early"]
    return Mixing(
        Perceptron(asked["columns"], asked["width"], dials["rate"]),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=dials["decay"] / 3e-3,
        lr=3e-3,
        alpha=dials["alpha"],
        max_epochs=asked["epochs"],
        batch_size=asked["batch"],
        iterator_train__shuffle=True,
        train_split=ValidSplit(7, stratified=True) if early else None,
        callbacks=[EarlyStopping(patience=8, load_best=True)] if early else None,
        verbose=0,
    )


def main() -> None:
    asked = json.loads(sys.argv[1])
    rng = np.random.default_rng(0)
    X = rng.normal(size=(asked["rows"], asked["columns"])).astype(np.float32)
    y = (X[:, 0] * X[:, 1] + X[:, 2] + rng.normal(size=len(X)) > 0).astype(np.int64)
    short = asked | {"epochs": 1}
    net(short, asked["dials"][0]).fit(X[:200], y[:200])  # the first call loads and compiles
    spent = []
    for dials in asked["dials"]:
        start = time.process_time()
        net(asked, dials).fit(X, y)
        spent.append(time.process_time() - start)
    print(json.dumps(float(np.mean(spent))))


if __name__ == "__main__":
    main()
