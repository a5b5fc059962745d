"""A module of torch on the CPU: torch computes the gradients, and fusedoptim takes the step, over the same memory.

The class is torch's own AdamW with another step, so that schedulers, state dicts and hooks work as they are. Clipping by
the norm, and a running average of the weights to evaluate with, are part of the same pass.
"""

import sys

import torch

from fusedoptim.torch import AdamW

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(1, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
opt = AdamW(model.parameters(), lr=0.02, clip_norm=1.0, ema=0.98)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)

x = torch.linspace(-3, 3, 256)[:, None]
for _ in range(steps):
    opt.zero_grad()
    torch.nn.functional.mse_loss(model(x), torch.sin(2 * x)).backward()
    opt.step()
    schedule.step()
with torch.no_grad(), opt.using_ema():
    error = torch.nn.functional.mse_loss(model(x), torch.sin(2 * x)).item()
print(f"mean squared error {error:.1e} after {steps} steps")
