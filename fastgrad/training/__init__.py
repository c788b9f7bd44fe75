"""Training: ``fit`` runs the epochs, ``evaluate`` tells how good a model is, ``save`` keeps it.

    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss = nn.CrossEntropyLoss()
    callbacks = [EarlyStopping(patience=3), Checkpoint("runs/digits")]
    history = fit(model, loss, optimizer, train_loader, epochs=50, validation=test_loader,
                  metrics=["f1"], callbacks=callbacks, compile=True)
    history["validation_f1"]                        # a number for each epoch
    save(model.state_dict(), "digits.safetensors")

A loader is anything that can be iterated over once an epoch and gives pairs ``(x, target)`` of
Tensors or arrays, with one sample per row.
"""

from ..metrics import accuracy
from ..serialization import load, save
from .callback import Callback, Context
from .callbacks import (
    L1,
    ClipGradients,
    CSVLog,
    EarlyStopping,
    KeepBest,
    Schedule,
)
from .checkpoint import Checkpoint, load_checkpoint
from .evaluation import Evaluation, evaluate
from .history import History
from .loop import fit
from .progress import ProgressBar
from .weights import EMA, KeepSnapshots

__all__ = [
    "EMA",
    "L1",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "ClipGradients",
    "Context",
    "EarlyStopping",
    "Evaluation",
    "History",
    "KeepBest",
    "KeepSnapshots",
    "ProgressBar",
    "Schedule",
    "accuracy",
    "evaluate",
    "fit",
    "load",
    "load_checkpoint",
    "save",
]
