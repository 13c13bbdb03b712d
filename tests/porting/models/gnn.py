"""Graph networks: a convolution by sums over edges, and attention over neighbours."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parameter import Parameter


class GCNConv(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = Parameter(torch.empty(in_features, out_features))
        self.bias = Parameter(torch.zeros(out_features))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x, edge_index):
        n = x.shape[0]
        loops = torch.arange(n)
        src = torch.cat([edge_index[0], loops])
        dst = torch.cat([edge_index[1], loops])
        degree = torch.bincount(dst, minlength=n).to(x.dtype)
        norm = torch.rsqrt(degree)
        norm = norm[src] * norm[dst]
        h = torch.mm(x, self.weight)
        out = torch.zeros_like(h)
        out = out.index_add(0, dst, h[src] * norm.unsqueeze(1))
        return out + self.bias


class GATConv(nn.Module):
    """Attention with a dense adjacency matrix."""

    def __init__(self, in_features, out_features, alpha=0.2):
        super().__init__()
        self.W = Parameter(torch.empty(in_features, out_features))
        self.a = Parameter(torch.empty(2 * out_features, 1))
        nn.init.xavier_uniform_(self.W, gain=1.414)
        nn.init.xavier_uniform_(self.a, gain=1.414)
        self.out_features = out_features
        self.leakyrelu = nn.LeakyReLU(alpha)

    def forward(self, h, adj):
        Wh = torch.mm(h, self.W)
        Wh1 = torch.matmul(Wh, self.a[: self.out_features, :])
        Wh2 = torch.matmul(Wh, self.a[self.out_features :, :])
        e = self.leakyrelu(Wh1 + Wh2.T)
        zero_vec = -9e15 * torch.ones_like(e)
        attention = torch.where(adj > 0, e, zero_vec)
        attention = F.softmax(attention, dim=1)
        return F.elu(torch.matmul(attention, Wh))


class Net(nn.Module):
    def __init__(self, n_features, n_hidden, n_classes):
        super().__init__()
        self.conv = GCNConv(n_features, n_hidden)
        self.heads = nn.ModuleList([GATConv(n_hidden, n_hidden) for _ in range(2)])
        self.out = nn.Linear(2 * n_hidden, n_classes)

    def forward(self, x, edge_index):
        x = F.relu(self.conv(x, edge_index))
        x = F.dropout(x, p=0.0, training=self.training)
        adj = torch.eye(x.shape[0])
        adj[edge_index[0], edge_index[1]] = 1.0
        x = torch.cat([head(x, adj) for head in self.heads], dim=1)
        return F.log_softmax(self.out(x), dim=1)


def build():
    return Net(5, 4, 3)


def train(model, batches):
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05, weight_decay=5e-4)
    history = []
    for x, edge_index, y, mask in batches:
        model.train()
        optimizer.zero_grad()
        output = model(x, edge_index)
        loss = F.nll_loss(output[mask], y[mask])
        l1 = sum(p.abs().sum() for p in model.parameters())
        (loss + 1e-4 * l1).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            pred = model(x, edge_index).max(dim=1)[1]
        correct = pred.eq(y).double().sum()
        history.append((loss.item(), correct.item() / len(y)))
    return history
