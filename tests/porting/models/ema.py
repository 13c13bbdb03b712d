"""Training with an exponential moving average of the weights beside it."""

import copy

import torch
from torch import nn


class ModelEMA:
    """Keeps a moving average of everything in the model's state dict (parameters and buffers)."""

    def __init__(self, model, decay=0.9):
        self.ema = copy.deepcopy(model).eval()
        self.updates = 0
        self.decay = lambda x: decay * (1 - 2 ** (-x))
        for p in self.ema.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        self.updates += 1
        d = self.decay(self.updates)
        for ema_p, p in zip(self.ema.parameters(), model.parameters()):
            ema_p.data = d * ema_p.data + (1.0 - d) * p.data
        for ema_b, b in zip(self.ema.buffers(), model.buffers()):
            ema_b.copy_(b)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.LazyConv2d(4, 3, padding=1),
            nn.LazyBatchNorm2d(),
            nn.SiLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.LazyLinear(3)
        self.scale = nn.ParameterDict({"logit": nn.Parameter(torch.ones(1))})
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, x):
        if self.training:
            self.steps += 1
        return self.head(self.features(x)) * self.scale["logit"]


def build():
    net = Net()
    net.eval()
    net(torch.zeros(1, 2, 4, 4))  # the sizes
    return net


def train(model, batches):
    ema = ModelEMA(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    ema_hook = optimizer.register_step_post_hook(lambda *args: ema.update(model))
    criterion = nn.CrossEntropyLoss()
    losses = []
    model.train()
    for x, y in batches:

        def closure():
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
    ema_hook.remove()
    with torch.no_grad():
        for x, y in batches:
            losses.append(criterion(ema.ema(x), y).item())
    msd = ema.ema.state_dict()
    return losses, {k: float(v.sum()) for k, v in msd.items()}
