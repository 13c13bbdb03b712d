"""Sequence to sequence by recurrent networks with additive attention."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

VOCAB, EMBED, HIDDEN, PAD, SOS = 9, 6, 8, 0, 1


class Encoder(nn.Module):
    def __init__(self, input_size, embed_size, hidden_size, n_layers=1, dropout=0.0):
        super().__init__()
        self.embed = nn.Embedding(input_size, embed_size, padding_idx=PAD)
        self.gru = nn.GRU(embed_size, hidden_size, n_layers, dropout=dropout, bidirectional=True)
        self.fc = nn.Linear(2 * hidden_size, hidden_size)

    def forward(self, src, src_len):
        embedded = self.embed(src)
        packed = pack_padded_sequence(embedded, src_len, enforce_sorted=False)
        outputs, hidden = self.gru(packed)
        outputs, _ = pad_packed_sequence(outputs)
        hidden = torch.tanh(self.fc(torch.cat((hidden[-2], hidden[-1]), dim=1)))
        return outputs, hidden


class Attention(nn.Module):
    def __init__(self, enc_size, dec_size):
        super().__init__()
        self.attn = nn.Linear(enc_size + dec_size, dec_size)
        self.v = nn.Parameter(torch.rand(dec_size))

    def forward(self, hidden, encoder_outputs, mask):
        src_len = encoder_outputs.shape[0]
        h = hidden.unsqueeze(1).repeat(1, src_len, 1)
        encoder_outputs = encoder_outputs.permute(1, 0, 2)
        energy = torch.tanh(self.attn(torch.cat((h, encoder_outputs), dim=2)))
        attention = torch.matmul(energy, self.v)
        attention = attention.masked_fill(mask == 0, -1e10)
        return F.softmax(attention, dim=1)


class Decoder(nn.Module):
    def __init__(self, output_size, embed_size, enc_size, hidden_size):
        super().__init__()
        self.output_size = output_size
        self.embed = nn.Embedding(output_size, embed_size)
        self.attention = Attention(enc_size, hidden_size)
        self.gru = nn.GRUCell(enc_size + embed_size, hidden_size)
        self.out = nn.Linear(enc_size + hidden_size + embed_size, output_size)

    def forward(self, input, hidden, encoder_outputs, mask):
        embedded = self.embed(input)
        a = self.attention(hidden, encoder_outputs, mask)
        context = torch.bmm(torch.unsqueeze(a, 1), encoder_outputs.permute(1, 0, 2)).squeeze(1)
        hidden = self.gru(torch.cat((embedded, context), dim=1), hidden)
        output = self.out(torch.cat((hidden, context, embedded), dim=1))
        return output, hidden


class Seq2Seq(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, src, src_len, trg, teacher_forcing_ratio=0.5):
        max_len, batch_size = trg.shape
        outputs = torch.zeros(max_len, batch_size, self.decoder.output_size)
        encoder_outputs, hidden = self.encoder(src, src_len)
        mask = (src != PAD).permute(1, 0)
        output = trg[0]
        for t in range(1, max_len):
            output, hidden = self.decoder(output, hidden, encoder_outputs, mask)
            outputs[t] = output
            teacher_force = random.random() < teacher_forcing_ratio
            top1 = output.argmax(1)
            output = trg[t] if teacher_force else top1
        return outputs


def build():
    encoder = Encoder(VOCAB, EMBED, HIDDEN)
    return Seq2Seq(encoder, Decoder(VOCAB, EMBED, 2 * HIDDEN, HIDDEN))


def train(model, batches):
    random.seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD)
    losses = []
    for src, src_len, trg in batches:
        optimizer.zero_grad()
        output = model(src, src_len, trg)
        loss = criterion(output[1:].view(-1, VOCAB), trg[1:].reshape(-1))
        loss.backward()
        clip_grad_norm_(model.parameters(), max_norm=1)
        optimizer.step()
        losses.append(loss.item())
    return losses
