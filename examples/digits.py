"""Train a multi-layer perceptron on handwritten digits with a loop of one's own.

python examples/digits.py
"""

import time

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad.data import DataLoader, TensorDataset, datasets


def main(epochs=15, batch_size=64, hidden=128, seed=0):
    """Returns the share of test digits that are recognised."""
    fg.manual_seed(seed)
    x_train, y_train, x_test, y_test = datasets.digits()
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size, shuffle=True, seed=seed)

    model = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss_function = nn.CrossEntropyLoss()

    for epoch in range(epochs):
        start, total = time.perf_counter(), 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        seconds = time.perf_counter() - start
        print(f"epoch {epoch + 1:2}  loss {total / len(y_train):.4f}  {seconds * 1e3:.0f} ms")

    with fg.no_grad():
        predicted = model(fg.tensor(x_test)).argmax(dim=1).numpy()
    accuracy = float((predicted == y_test).mean())
    print(f"test accuracy {accuracy:.2%}")
    return accuracy


if __name__ == "__main__":
    main()
