"""Recognition of sequences without alignment: convolution, LSTM, CTC."""

import torch
import torch.nn as nn
import torch.nn.functional as F

CLASSES, BLANK, FEATURES = 5, 0, 6


class CRNN(nn.Module):
    def __init__(self, n_features, n_classes, hidden=8):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv1d(n_features, hidden, 3, padding=1),
            nn.BatchNorm1d(hidden),
            nn.Hardtanh(0, 20, inplace=True),
            nn.MaxPool1d(2),
        )
        self.rnn = nn.LSTM(hidden, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(hidden * 2, n_classes)

    def forward(self, x):
        x = self.cnn(x)
        x = x.permute(0, 2, 1)
        batch = x.size(0)
        h0 = torch.zeros(4, batch, self.rnn.hidden_size, device=x.device, dtype=x.dtype)
        c0 = torch.zeros(4, batch, self.rnn.hidden_size, device=x.device, dtype=x.dtype)
        x, _ = self.rnn(x, (h0, c0))
        x = self.fc(x)
        return F.log_softmax(x, dim=2).permute(1, 0, 2)


def greedy_decode(log_probs):
    best = torch.argmax(log_probs, dim=2).permute(1, 0)
    decoded = []
    for row in best:
        previous, out = BLANK, []
        for c in row.tolist():
            if c not in (previous, BLANK):
                out.append(c)
            previous = c
        decoded.append(out)
    return decoded


def build():
    return CRNN(FEATURES, CLASSES)


def train(model, batches):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1e-2, steps_per_epoch=len(batches), epochs=1, anneal_strategy="linear"
    )
    criterion = nn.CTCLoss(blank=BLANK, zero_infinity=True)
    losses = []
    for x, targets, target_lengths in batches:
        log_probs = model(x)
        input_lengths = torch.full(size=(x.size(0),), fill_value=log_probs.size(0), dtype=torch.long)
        loss = criterion(log_probs, targets, input_lengths, target_lengths)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), clip_value=0.5)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    model.eval()
    with torch.inference_mode():
        decoded = greedy_decode(model(batches[0][0]))
    return losses, decoded
