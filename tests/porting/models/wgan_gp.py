"""A Wasserstein GAN with a gradient penalty."""

import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn

LATENT, SHAPE, LAMBDA_GP, N_CRITIC = 4, (1, 4, 4), 10, 2


class Generator(nn.Module):
    def __init__(self):
        super().__init__()

        def block(in_feat, out_feat, normalize=True):
            layers = [nn.Linear(in_feat, out_feat)]
            if normalize:
                layers.append(nn.BatchNorm1d(out_feat, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(LATENT, 8, normalize=False), *block(8, 16), nn.Linear(16, int(np.prod(SHAPE))), nn.Tanh()
        )

    def forward(self, z):
        img = self.model(z)
        return img.view(img.shape[0], *SHAPE)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(int(np.prod(SHAPE)), 16),
            nn.LeakyReLU(0.2, True),
            nn.Linear(16, 8),
            nn.LeakyReLU(0.2, True),
            nn.Linear(8, 1),
        )

    def forward(self, img):
        img_flat = torch.flatten(img, start_dim=1)
        return self.model(img_flat)


def compute_gradient_penalty(D, real_samples, fake_samples):
    """Calculates the gradient penalty loss for WGAN GP"""
    alpha = torch.rand(real_samples.size(0), 1, 1, 1, device=real_samples.device)
    interpolates = (alpha * real_samples + ((1 - alpha) * fake_samples)).requires_grad_(True)
    d_interpolates = D(interpolates)
    fake = torch.ones(real_samples.shape[0], 1, requires_grad=False)
    gradients = autograd.grad(
        outputs=d_interpolates,
        inputs=interpolates,
        grad_outputs=fake,
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def build():
    return nn.ModuleDict({"generator": Generator(), "discriminator": Discriminator()})


def train(model, batches):
    generator, discriminator = model["generator"], model["discriminator"]
    optimizer_G = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizer_D = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    history = []
    for i, (imgs,) in enumerate(batches):
        optimizer_D.zero_grad()
        z = torch.randn(imgs.shape[0], LATENT)
        fake_imgs = generator(z).detach()
        real_validity = discriminator(imgs)
        fake_validity = discriminator(fake_imgs)
        gradient_penalty = compute_gradient_penalty(discriminator, imgs, fake_imgs)
        d_loss = -torch.mean(real_validity) + torch.mean(fake_validity) + LAMBDA_GP * gradient_penalty
        d_loss.backward()
        optimizer_D.step()
        history.append(d_loss.item())

        if i % N_CRITIC == 0:
            optimizer_G.zero_grad()
            for p in discriminator.parameters():
                p.requires_grad_(False)
            g_loss = -torch.mean(discriminator(generator(z)))
            g_loss.backward()
            optimizer_G.step()
            discriminator.requires_grad_(True)
            history.append(g_loss.item())
    return history
